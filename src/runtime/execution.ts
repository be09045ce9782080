import { type FusedStage, type FusedTarget, type Outlet, openFused } from '../core/fuse.ts'
import { KeyedState, type SavedRow } from '../core/keyed-state.ts'
import type { DeadLetterSink } from '../core/operator.ts'
import { type Batch, Cursor, type Origin, type RecordInfo } from '../core/record.ts'
import { MemoryStateStore, type StateStore } from '../core/state-store.ts'
import {
  deadLetterSinks,
  leadsTo,
  type Plan,
  type PlannedFlow,
  type PlannedOperator,
  type Target,
} from '../plan/plan.ts'
import { Boundary } from './boundary.ts'
import { RunHost } from './host.ts'
import { Port } from './port.ts'
import type { DeadLetter } from './skipped.ts'
import { type RowOutlet, RowStage, rowsToPort, Table } from './table.ts'

export interface ExecutionOptions {
  /** Rows are sent at ticks, so what was sent must be remembered. */
  readonly live?: boolean
  /** Every accumulator goes through its JSON text. */
  readonly overWire?: boolean
  /** Gets every skipped record. */
  readonly deadLetter?: (letter: DeadLetter) => void
  /** The sink of every skipped record; it has a port as those have that operators name. */
  readonly deadLetters?: DeadLetterSink
  /** Which sinks want to know where events came from, if not as they say themselves. */
  readonly wantsLineage?: (flow: PlannedFlow) => boolean
  /** Something came out of a boundary, or failed in it, between two calls: `settle` will tell. */
  readonly onReady?: () => void
  /** Runs only what leads here: one job's map side. */
  readonly goal?: Target
  /** Takes the place of the state of the goal: the map side of a cut ends here. */
  readonly goalIntake?: (cursor: Cursor) => Outlet
}

/**
 * A plan that runs in this thread, both sides of every cut: the inline exchange, the test driver and the mapper are drivers of it.
 * Everything is synchronous but for boundaries: a driver calls `take` with batches, `settle` where there are boundaries, `tick` when it
 * is time, and `finish`; what came out for the sinks lies in the ports.
 */
export class Execution {
  readonly host: RunHost
  readonly ports = new Map<PlannedFlow, Port>()
  readonly deadLetterPorts = new Map<DeadLetterSink, Port>()
  readonly tables: readonly Table[]
  readonly #plan: Plan
  readonly #options: ExecutionOptions
  readonly #stages = new Map<string, FusedStage>()
  readonly #tableOf = new Map<PlannedOperator, Table>()
  /** By table: where its outlets lead, slot by slot. */
  readonly #outletsOf = new Map<PlannedOperator, readonly Target[]>()
  readonly #boundaries = new Map<PlannedOperator, Boundary>()
  readonly #stores = new Map<PlannedOperator, StateStore>()

  constructor(plan: Plan, options: ExecutionOptions = {}) {
    this.#plan = plan
    this.#options = options
    const { deadLetters } = options
    for (const sink of [...deadLetterSinks(plan), deadLetters])
      if (sink !== undefined) this.deadLetterPorts.set(sink, new Port())
    this.host = new RunHost(plan, (letter, to, record) => {
      options.deadLetter?.(letter)
      for (const sink of new Set([to, deadLetters])) {
        if (sink === undefined) continue
        const [origin, index] = record instanceof Cursor ? [record.origin, record.index] : [originOf(record), 0]
        this.deadLetterPorts.get(sink)?.eventAt(letter, origin, index)
      }
    })
    for (const flow of plan.flows) if (this.#wanted(flow)) this.ports.set(flow, new Port())
    // From the sinks up, so that what an operator leads to is there when it is opened.
    for (const operator of [...plan.operators].reverse()) {
      if (!this.#wanted(operator) || operator === options.goal) continue
      if (operator.kind === 'aggregate') this.#tableOf.set(operator, this.#openTable(operator))
      else if (operator.kind === 'boundary') this.#boundaries.set(operator, this.#openBoundary(operator))
    }
    this.tables = plan.operators.flatMap((operator) => this.#tableOf.get(operator) ?? [])
    for (const source of plan.sources) {
      const cursor = new Cursor()
      const stage = openFused(this.#fuse(source.targets, cursor), this.host.stage(cursor), (error) =>
        this.host.malformed(source.name, error, cursor),
      )
      this.#stages.set(source.name, stage)
    }
  }

  /** Where lies what was made for a flow; one whose sink is a sink of dead letters has those. */
  portOf(flow: PlannedFlow): Port | undefined {
    return this.ports.get(flow) ?? this.deadLetterPorts.get(flow.sink)
  }

  /** How many rows, keys and events the next checkpoint has to write. */
  get changes(): number {
    let sum = 0
    for (const table of this.tables) sum += table.changes
    for (const store of this.#stores.values()) sum += store.changes
    for (const port of this.ports.values()) sum += port.waiting
    return sum
  }

  get hasBoundaries(): boolean {
    return this.#boundaries.size > 0
  }

  /** One batch of a source. */
  take(source: string, batch: Batch): void {
    const records = (this.#stages.get(source) as FusedStage).take(batch)
    this.host.counters.add('read', records)
  }

  /** Lets the boundaries work off what waits for them. */
  async settle(): Promise<void> {
    for (const operator of this.#plan.operators) await this.#boundaries.get(operator)?.run()
  }

  /** Waits until nothing is on its way in a boundary; nothing must come in meanwhile. */
  async drain(): Promise<void> {
    for (const operator of this.#plan.operators) await this.#boundaries.get(operator)?.drain()
  }

  /** Sends the rows that changed, upstream tables first, so that one tick carries a change through all of them. */
  tick(): void {
    for (const table of this.tables) table.tick()
  }

  /** There is no more input, where no boundary is in the plan. */
  finish(): void {
    for (const stage of this.#stages.values()) stage.flush()
    for (const table of this.tables) table.flush()
  }

  /** There is no more input. */
  async finishAll(): Promise<void> {
    for (const stage of this.#stages.values()) stage.flush()
    for (const operator of this.#plan.operators) await this.#boundaries.get(operator)?.flush()
    for (const table of this.tables) table.flush()
  }

  /** Takes out what the last tick changed, table by table, for a checkpoint. */
  takeTicked(take: (table: string, row: SavedRow) => void): void {
    for (const table of this.tables) table.takeTicked((row) => take(table.planned.name, row))
    for (const [{ name }, store] of this.#stores)
      store.takeChanged((key, accumulator) => take(name, { key, accumulator, sent: [] }))
  }

  /** Puts rows of a checkpoint back; each key comes once, in any number of calls. Then `restored`. */
  restore(rows: Iterable<readonly [table: string, row: SavedRow]>): void {
    const byName = new Map(this.tables.map((table) => [table.planned.name, table]))
    const storeByName = new Map([...this.#stores].map(([{ name }, store]) => [name, store]))
    for (const [name, row] of rows) {
      byName.get(name)?.restore(row)
      if (row.accumulator !== null) storeByName.get(name)?.restore(row.key, row.accumulator)
    }
  }

  /** All rows are back. */
  restored(): void {
    for (const table of this.tables) {
      this.#outletsOf.get(table.planned)?.forEach((target, slot) => {
        const next = target.type === 'operator' ? this.#tableOf.get(target) : undefined
        if (next !== undefined) table.restoreContributions(slot, next)
      })
    }
  }

  destroy(error?: Error): void {
    for (const boundary of this.#boundaries.values()) boundary.destroy(error)
  }

  /** An operator that two sources lead to is opened twice and has one state. */
  #stateOf(operator: PlannedOperator): StateStore | undefined {
    if (operator.kind !== 'ordered') return undefined
    let store = this.#stores.get(operator)
    if (store === undefined) {
      store = new MemoryStateStore({ overWire: this.#options.overWire === true })
      this.#stores.set(operator, store)
    }
    return store
  }

  #wantsLineage(flow: PlannedFlow): boolean {
    return this.#options.wantsLineage?.(flow) ?? flow.sink.sink.wantsLineage === true
  }

  #wanted(target: Target): boolean {
    const { goal } = this.#options
    return goal === undefined || leadsTo(target, goal)
  }

  #fuse(targets: readonly Target[], cursor: Cursor): FusedTarget[] {
    return this.#targets(targets, (target) => {
      if (target === this.#options.goal && this.#options.goalIntake !== undefined)
        return this.#options.goalIntake(cursor)
      if (target.type === 'flow') {
        const port = this.ports.get(target) as Port
        return { take: this.#wantsLineage(target) ? port.eventFrom(cursor) : port.event }
      }
      return this.#tableOf.get(target)?.intake(cursor) ?? this.#boundaries.get(target)?.intake(cursor)
    })
  }

  /** The operators from here to the next outlets; `outlet` says which target is one. */
  #targets(targets: readonly Target[], outlet: (target: Target) => Outlet | undefined): FusedTarget[] {
    return targets
      .filter((target) => this.#wanted(target))
      .map((target) => {
        const end = outlet(target)
        if (end !== undefined) return end
        const operator = target as PlannedOperator
        return {
          id: operator.id,
          operator: operator.operator,
          keyedState: this.#stateOf(operator),
          overWire: operator.kind === 'ordered' && this.#options.overWire,
          targets: this.#targets(operator.targets, outlet),
          sides: new Map([...operator.sides].map(([name, of]) => [name, this.#targets(of, outlet)])),
        }
      })
  }

  #openTable(operator: PlannedOperator): Table {
    const { live = false, overWire = false } = this.#options
    const outlets: RowOutlet[] = []
    const leadTo: Target[] = []
    const cursor = new Cursor()
    const targets = this.#targets(operator.targets, (target) => {
      const slot = outlets.length
      const outlet =
        target.type === 'flow'
          ? rowsToPort(this.ports.get(target) as Port, slot, live)
          : this.#tableOf.get(target)?.intakeOfRows(slot, live, cursor)
      if (outlet !== undefined) {
        outlets.push(outlet)
        leadTo.push(target)
      }
      return outlet
    })
    this.#outletsOf.set(operator, leadTo)
    const rows = new RowStage(operator, targets, outlets, this.host)
    return new Table(operator, new KeyedState(operator.operator.definition.aggregate!, { overWire }), rows, this.host)
  }

  #openBoundary(operator: PlannedOperator): Boundary {
    const cursor = new Cursor()
    const next = openFused(this.#fuse(operator.targets, cursor), this.host.stage(cursor), (error) =>
      this.host.malformed(operator.id, error, cursor),
    )
    return new Boundary(operator, next, cursor, this.host, () => this.#options.onReady?.())
  }
}

function originOf(record: RecordInfo): Origin {
  const { source, partition, identity, position } = record
  return { source, partition, identity, positionOf: () => position }
}
