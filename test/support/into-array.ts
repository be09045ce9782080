import { memory, type Sink } from 'millrace'

/** A memory sink for whatever comes. */
export function intoArray(into: unknown[]): Sink<unknown> {
  return memory(into)
}
