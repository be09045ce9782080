import { decodeAccumulator, encodeAccumulator } from '../core/aggregate.ts'
import { type FusedStage, type FusedTarget, keyedOutlet, type Outlet, openFused } from '../core/fuse.ts'
import { type Key, keyText } from '../core/key.ts'
import { type KeyedState, type KeyState, memoryOf, type RowMemory, type SavedRow } from '../core/keyed-state.ts'
import { Cursor } from '../core/record.ts'
import type { PlannedOperator } from '../plan/plan.ts'
import type { RunHost } from './host.ts'
import type { Port } from './port.ts'

/** An end of the operators that stand after an aggregate: it is told which row is being made. */
export interface RowOutlet extends Outlet {
  begin(): void
  /** The row has given all its values. What it gave the last time and not now is taken back. */
  end(row: KeyState): void
}

/**
 * The operators after an aggregate, run for one row at a time. A row's identity is its key (and its index where it became several),
 * never what it was mapped to.
 */
export class RowStage {
  readonly #planned: PlannedOperator
  readonly #cursor = new Cursor()
  readonly #stage: FusedStage
  readonly #outlets: readonly RowOutlet[]
  readonly #host: RunHost
  #row: KeyState | undefined

  constructor(planned: PlannedOperator, targets: readonly FusedTarget[], outlets: readonly RowOutlet[], host: RunHost) {
    this.#planned = planned
    this.#outlets = outlets
    this.#host = host
    this.#cursor.origin = {
      source: planned.id,
      partition: `table ${planned.name}`,
      positionOf: () => (this.#row === undefined ? undefined : keyText(this.#row.key)),
    }
    this.#stage = openFused(targets, host.stage(this.#cursor), (error) => {
      throw error
    })
  }

  /** Sends the row of a key as its accumulator is now. */
  send(row: KeyState): void {
    const { aggregate } = this.#planned.operator.definition
    this.#around(row, () => {
      let value: unknown
      try {
        value = aggregate!.finish(row.accumulator)
      } catch (error) {
        throw this.#host.attribute(this.#planned.id, error, undefined, this.#cursor)
      }
      this.#stage.takeValue({ key: row.key, value })
    })
  }

  /** Takes the row back: it stands for nothing any more. */
  retract(row: KeyState): void {
    this.#around(row, () => {})
  }

  /** What the operators give when there are no more rows belongs to no key: it goes under the empty one. */
  flush(): void {
    const row: KeyState = { key: [], accumulator: undefined, changed: false, memory: undefined }
    this.#around(row, () => this.#stage.flush())
  }

  #around(row: KeyState, run: () => void): void {
    this.#row = row
    for (const outlet of this.#outlets) outlet.begin()
    run()
    for (const outlet of this.#outlets) outlet.end(row)
  }
}

/** A table: the state of an aggregate, and where its rows go. */
export class Table {
  readonly planned: PlannedOperator
  readonly #state: KeyedState
  readonly #rows: RowStage
  readonly #host: RunHost
  #ticked: readonly KeyState[] = []
  #restored = 0

  constructor(planned: PlannedOperator, state: KeyedState, rows: RowStage, host: RunHost) {
    this.planned = planned
    this.#state = state
    this.#rows = rows
    this.#host = host
  }

  get size(): number {
    return this.#state.size
  }

  /** How many rows changed since the last tick. */
  get changes(): number {
    return this.#state.changes
  }

  /** Sends each row that changed since the last tick, once, in the order of the keys. */
  tick(): void {
    this.#ticked = this.#state.takeChanged()
    for (const row of this.#ticked) {
      const { memory } = row
      if (memory !== undefined && memory.contributions === 0 && this.planned.over === 'table') this.#rows.retract(row)
      else {
        if (memory?.parts !== undefined) row.accumulator = this.#mergedAnew(memory.parts)
        this.#rows.send(row)
      }
    }
  }

  flush(): void {
    this.tick()
    this.#rows.flush()
  }

  /** Takes out the rows that the last tick sent, with what is remembered of each: what a checkpoint adds to the state. */
  takeTicked(take: (row: SavedRow) => void): void {
    const { aggregate } = this.#state
    const ticked = this.#ticked
    this.#ticked = []
    for (const { key, accumulator, memory } of ticked) {
      const sent = memory?.sent ?? []
      const gone = this.planned.over === 'table' && memory?.contributions === 0
      take(
        gone
          ? { key, accumulator: null, sent: [] }
          : { key, accumulator: encodeAccumulator(aggregate, accumulator), sent },
      )
    }
  }

  /** Puts a row back as a checkpoint holds it. */
  restore({ key, accumulator, sent }: SavedRow): void {
    if (accumulator === null) return
    this.#restored++
    const row = this.#state.restore(key, decodeAccumulator(this.#state.aggregate, accumulator))
    if (sent.length > 0) memoryOf(row).sent.push(...sent)
  }

  touchAll(): void {
    this.#state.touchAll()
  }

  /** After all rows are back: tells the next aggregate which of its rows each one stands behind. */
  restoreContributions(slot: number, next: Table): void {
    for (const row of this.#state.states()) {
      for (const contribution of (row.memory?.sent[slot] ?? []) as Contribution[])
        next.#restoreContribution(row, contribution)
    }
  }

  #restoreContribution(from: KeyState, { key, value }: Contribution): void {
    // Nothing of this table was there, so its state was dropped: it is made anew of the rows that it stands on.
    const row = this.#restored === 0 ? undefined : this.#state.get(key)
    if (row === undefined) this.#contribute(from, { key, value })
    else this.#remember(memoryOf(row), from, value)
  }

  /** Where the events of a stream enter. */
  intake(cursor: Cursor): Outlet {
    const { id } = this.planned
    const state = this.#state
    const takeKeyed = (key: Key, value: unknown): void => {
      try {
        state.add(key, value)
      } catch (error) {
        throw this.#host.attribute(id, error, value, cursor)
      }
    }
    return keyedOutlet(takeKeyed)
  }

  /** Where the rows of another table enter. Live, a new version of a row takes back what the old one contributed. */
  intakeOfRows(slot: number, live: boolean, cursor: Cursor): RowOutlet {
    if (!live) return { ...this.intake(cursor), begin: () => {}, end: () => {} }
    let now: Contribution[] = []
    const takeKeyed = (key: Key, value: unknown): void => void now.push({ key, value })
    return {
      ...keyedOutlet(takeKeyed),
      begin: () => {
        now = []
      },
      end: (row) => {
        const { sent } = memoryOf(row)
        for (const old of (sent[slot] ?? []) as Contribution[]) this.#takeBack(row, old)
        for (const fresh of now) this.#contribute(row, fresh)
        sent[slot] = now
      },
    }
  }

  #contribute(from: KeyState, { key, value }: Contribution): void {
    const { remove } = this.#state.aggregate
    const row = remove === undefined ? this.#state.touch(key) : this.#state.add(key, value)
    this.#remember(memoryOf(row), from, value)
  }

  #remember(memory: RowMemory, from: KeyState, value: unknown): void {
    memory.contributions++
    if (this.#state.aggregate.remove !== undefined) return
    memory.parts ??= new Map()
    const values = memory.parts.get(from)
    if (values === undefined) memory.parts.set(from, [value])
    else values.push(value)
  }

  #takeBack(from: KeyState, { key, value }: Contribution): void {
    const { remove } = this.#state.aggregate
    const row = remove === undefined ? this.#state.touch(key) : this.#state.remove(key, value)
    const memory = memoryOf(row)
    memory.contributions--
    if (remove === undefined) memory.parts?.delete(from)
  }

  #mergedAnew(parts: ReadonlyMap<object, readonly unknown[]>): unknown {
    const { aggregate } = this.#state
    let accumulator: unknown = aggregate.init()
    for (const values of parts.values()) for (const value of values) accumulator = aggregate.add(accumulator, value)
    return accumulator
  }
}

interface Contribution {
  readonly key: Key
  readonly value: unknown
}

/** Where rows leave for a sink. */
export function rowsToPort(port: Pick<Port, 'row'>, slot: number, live: boolean): RowOutlet {
  let values: unknown[] = []
  return {
    take: (value) => void values.push(value),
    begin: () => {
      values = []
    },
    end: (row) => {
      values.forEach((value, index) => {
        port.row(row.key, index, value)
      })
      if (!live) return
      const { sent } = memoryOf(row)
      const before = (sent[slot] ?? 0) as number
      for (let index = values.length; index < before; index++) port.row(row.key, index, undefined)
      sent[slot] = values.length
    },
  }
}
