import { MemoryTaker } from './memory-taker.ts'
import type { SinkWriter } from './sink.ts'

/** Fills `into` when the run has ended. */
export function openMemorySink(into: unknown[]): SinkWriter {
  const taker = new MemoryTaker()
  return {
    write: (output) => taker.take(output),
    close: async () => {
      into.push(...taker.values())
    },
    abort: async () => {},
  }
}
