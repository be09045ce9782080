import { compareBytes } from '../core/canonical.ts'
import { keyText } from '../core/key.ts'
import type { Output } from './sink.ts'

/** What a memory sink has been given: the events in order, and of a table the rows as they are now. */
export class MemoryTaker {
  readonly #rows = new Map<string, { readonly key: string; readonly index: number; readonly value: unknown }>()
  readonly events: unknown[] = []
  /** How many changes of rows there were. */
  changes = 0

  take(output: Output): void {
    if (output.kind === 'events') {
      for (const value of output.values) this.events.push(value)
      return
    }
    for (const change of output.changes) {
      const key = keyText(change.key)
      const id = `${change.index} ${key}`
      this.changes++
      if (change.value === undefined) this.#rows.delete(id)
      else this.#rows.set(id, { key, index: change.index, value: change.value })
    }
  }

  /** The events, then the current rows in the order of their keys. */
  values(): unknown[] {
    const rows = [...this.#rows.values()].sort((a, b) => compareBytes(a.key, b.key) || a.index - b.index)
    return [...this.events, ...rows.map((row) => row.value)]
  }
}
