import type { Key } from '../core/key.ts'
import type { Output, RowChange } from '../sinks/sink.ts'

/** What was made for one sink and not yet written: at most what one batch or one tick gives. */
export class Port {
  #events: unknown[] = []
  #changes: RowChange[] = []

  readonly event = (value: unknown): void => {
    this.#events.push(value)
  }

  row(key: Key, index: number, value: unknown): void {
    this.#changes.push({ key, index, value })
  }

  /** Takes out what is there. */
  *take(): Generator<Output> {
    if (this.#events.length > 0) {
      const values = this.#events
      this.#events = []
      yield { kind: 'events', values }
    }
    if (this.#changes.length > 0) {
      const changes = this.#changes
      this.#changes = []
      yield { kind: 'rows', changes }
    }
  }
}
