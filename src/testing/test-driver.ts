import { durationMs } from '../core/time.ts'
import type { Pipeline } from '../plan/pipeline.ts'
import type { PlannedFlow } from '../plan/plan.ts'
import { Execution } from '../runtime/execution.ts'
import type { DeadLetter } from '../runtime/skipped.ts'
import { MemoryTaker } from '../sinks/memory-taker.ts'
import type { RowChange } from '../sinks/sink.ts'

export interface PushOptions {
  /** Which source it comes from; needed only where there are several. */
  readonly source?: string
  /** Default 'p0'. Positions count from 0 in each partition. */
  readonly partition?: string
  /** The record's own time, in milliseconds since the epoch. */
  readonly timestamp?: number
}

export interface TestDriverOptions {
  /** Time between ticks on the virtual clock. Default '250ms'. */
  readonly tick?: string | number
}

/**
 * Runs a pipeline in a test: synchronous, without its sources and sinks, without a clock of its own. You push records, from as many
 * partitions as you like; you move the wall clock by `advance`, which ticks as a live run would; `end` ends the input. Every
 * accumulator goes through its JSON text, as between mapper and reducer, so that what JSON loses shows here.
 *
 * Pipelines with `mapAsync` or `through` wait, so they can't run in it: use `execute` for those.
 *
 * @example
 * ```ts
 * import { testDriver } from 'millrace/testing'
 * const hits = pipeline('hits', from(memory<string>([])).pipe(keyBy((page) => page)).pipe(aggregate(count())).to(stdout()))
 * const driver = testDriver(hits)
 * driver.push('/a')
 * driver.push('/a', { partition: 'p1' })
 * driver.end()
 * driver.output() // => [{ key: '/a', value: 2 }]
 * ```
 */
export function testDriver(pipeline: Pipeline, options: TestDriverOptions = {}): TestDriver {
  return new TestDriver(pipeline, options)
}

export class TestDriver {
  readonly #pipeline: Pipeline
  readonly #execution: Execution
  readonly #tickMs: number
  readonly #taken = new Map<PlannedFlow, MemoryTaker>()
  readonly #lastChanges = new Map<PlannedFlow, readonly RowChange[]>()
  readonly #positions = new Map<string, number>()
  readonly deadLetters: DeadLetter[] = []
  /** The wall clock, in milliseconds since the test began. */
  now = 0

  constructor(pipeline: Pipeline, { tick = 250 }: TestDriverOptions) {
    this.#pipeline = pipeline
    this.#tickMs = durationMs(tick)
    this.#execution = new Execution(pipeline.plan, {
      live: true,
      overWire: true,
      deadLetter: (letter) => void this.deadLetters.push(letter),
    })
    if (this.#execution.hasBoundaries) {
      throw new Error(
        `${pipeline.name}: the test driver is synchronous, and this pipeline has an operator that waits — use execute`,
      )
    }
    for (const flow of pipeline.plan.flows) this.#taken.set(flow, new MemoryTaker())
  }

  /** One record of a source. */
  push(value: unknown, { source, partition = 'p0', timestamp }: PushOptions = {}): void {
    const name = source ?? this.#onlySource()
    const id = `${name}\n${partition}`
    const position = this.#positions.get(id) ?? 0
    this.#positions.set(id, position + 1)
    this.#execution.take(name, {
      kind: 'values',
      source: name,
      partition,
      values: [value],
      positionOf: () => position,
      timestampOf: () => timestamp,
    })
    this.#collect()
  }

  /** Moves the wall clock; ticks that fall due happen. */
  advance(by: string | number): void {
    const until = this.now + durationMs(by)
    for (let due = (Math.floor(this.now / this.#tickMs) + 1) * this.#tickMs; due <= until; due += this.#tickMs)
      this.tick()
    this.now = until
  }

  /** Sends the rows that changed, now. */
  tick(): void {
    this.#execution.tick()
    this.#collect()
  }

  /** The input has ended. */
  end(): void {
    this.#execution.finish()
    this.#collect()
  }

  /** What a flow's sink holds now: the events in order, of a table the current rows by key. */
  output(flow?: string): unknown[] {
    return (this.#taken.get(this.#flow(flow)) as MemoryTaker).values()
  }

  /** The row changes of the last tick; `value` undefined is a row that was removed. */
  changes(flow?: string): readonly RowChange[] {
    return this.#lastChanges.get(this.#flow(flow)) ?? []
  }

  /** What an operator counted under `id: counter`, and `read`. */
  counter(name: string): number {
    return this.#execution.host.counters.get(name)
  }

  get skipped(): number {
    return this.#execution.host.skipped.total
  }

  #collect(): void {
    for (const [flow, port] of this.#execution.ports) {
      for (const output of port.take()) {
        this.#taken.get(flow)?.take(output)
        if (output.kind === 'rows') this.#lastChanges.set(flow, output.changes)
      }
    }
  }

  #onlySource(): string {
    const { sources } = this.#pipeline.plan
    if (sources.length !== 1) throw new Error(`say which source: ${sources.map(({ name }) => `'${name}'`).join(', ')}`)
    return sources[0]!.name
  }

  #flow(name: string | undefined): PlannedFlow {
    const { flows } = this.#pipeline.plan
    const flow = name === undefined && flows.length === 1 ? flows[0] : flows.find((flow) => flow.name === name)
    if (flow === undefined) throw new Error(`say which flow: ${flows.map((other) => `'${other.name}'`).join(', ')}`)
    return flow
  }
}
