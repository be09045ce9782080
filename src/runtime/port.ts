import type { Key } from '../core/key.ts'
import { type Cursor, NOWHERE, type Origin } from '../core/record.ts'
import type { Lineage, Output, RowChange } from '../sinks/sink.ts'

/** What was made for one sink and not yet written: at most what one batch, one tick, or the time between two checkpoints gives. */
export class Port {
  #events: unknown[] = []
  #changes: RowChange[] = []
  /** By event, where the sink wants to know: the batch that it came from, and where in it. */
  #origins: Origin[] = []
  #indexes: number[] = []

  readonly event = (value: unknown): void => {
    this.#events.push(value)
  }

  /** The same, for a sink that wants lineage. */
  eventFrom(cursor: Cursor): (value: unknown) => void {
    return (value) => {
      this.eventAt(value, cursor.origin, cursor.index)
    }
  }

  eventAt(value: unknown, origin: Origin, index: number): void {
    // Events without lineage that came before (none is expected) stay aligned.
    while (this.#origins.length < this.#events.length) {
      this.#origins.push(NOWHERE)
      this.#indexes.push(0)
    }
    this.#events.push(value)
    this.#origins.push(origin)
    this.#indexes.push(index)
  }

  /** How many events wait. */
  get waiting(): number {
    return this.#events.length
  }

  row(key: Key, index: number, value: unknown): void {
    this.#changes.push({ key, index, value })
  }

  /** Takes out what is there. */
  *take(): Generator<Output> {
    if (this.#events.length > 0) {
      const values = this.#events
      const [origins, indexes] = [this.#origins, this.#indexes]
      this.#events = []
      this.#origins = []
      this.#indexes = []
      if (origins.length === 0) yield { kind: 'events', values }
      else yield { kind: 'events', values, lineageOf: (index) => lineageOf(origins[index], indexes[index]) }
    }
    if (this.#changes.length > 0) {
      const changes = this.#changes
      this.#changes = []
      yield { kind: 'rows', changes }
    }
  }
}

function lineageOf(origin: Origin = NOWHERE, index = 0): Lineage {
  const { source, partition, identity } = origin
  return { source, partition, identity, position: origin.positionOf(index) }
}
