import { keyedOutlet, type Outlet } from '../core/fuse.ts'
import type { Key } from '../core/key.ts'
import { KeyedState } from '../core/keyed-state.ts'
import type { Cursor } from '../core/record.ts'
import type { PlannedOperator } from '../plan/plan.ts'
import type { RunHost } from '../runtime/host.ts'
import type { RowOutlet } from '../runtime/table.ts'
import { wireLine } from './wire.ts'

/** A mapper holds this many keys before it writes what it has: enough to merge most of a split, little beside a process's memory. */
const HELD_KEYS = 100_000

/** The end of a map side: merges what it can within its memory and writes accumulators by key. */
export class Combining {
  readonly #cut: PlannedOperator
  readonly #state: KeyedState
  readonly #write: (line: string) => void

  constructor(cut: PlannedOperator, write: (line: string) => void) {
    this.#cut = cut
    this.#state = new KeyedState(cut.operator.definition.aggregate!)
    this.#write = write
  }

  intake(host: () => RunHost, cursor: Cursor): Outlet {
    const takeKeyed = (key: Key, value: unknown): void => {
      try {
        this.#state.add(key, value)
      } catch (error) {
        throw host().attribute(this.#cut.id, error, value, cursor)
      }
      if (this.#state.size >= HELD_KEYS) this.flush()
    }
    return keyedOutlet(takeKeyed)
  }

  /** The same for the rows of a reducer that feeds the next cut. */
  intakeOfRows(host: () => RunHost, cursor: Cursor): RowOutlet {
    return { ...this.intake(host, cursor), begin: () => {}, end: () => {} }
  }

  flush(): void {
    const { aggregate } = this.#state
    for (const { key, accumulator } of this.#state.states()) this.#write(wireLine(key, aggregate, accumulator))
    this.#state.clear()
  }
}
