import type { FusedStage, Outlet } from '../core/fuse.ts'
import type { AsyncProcessor } from '../core/operator.ts'
import { batchOf, type Cursor, type RecordInfo } from '../core/record.ts'
import type { PlannedOperator } from '../plan/plan.ts'
import type { RunHost } from './host.ts'

/** An operator that waits, between two stages. What comes in is held for at most one batch; what it emits goes on in batches. */
export class Boundary {
  readonly planned: PlannedOperator
  readonly #next: FusedStage
  readonly #processor: AsyncProcessor<unknown>
  readonly #host: RunHost
  #waiting: { readonly value: unknown; readonly record: RecordInfo }[] = []
  #outs: unknown[] = []
  #outRecords: RecordInfo[] = []
  #current: RecordInfo
  #running = false
  #failure: { readonly error: unknown } | undefined

  /** `ready` is called when there is something to deliver, or a failure to tell, while nobody is in `run`. */
  constructor(planned: PlannedOperator, next: FusedStage, cursor: Cursor, host: RunHost, ready: () => void) {
    this.planned = planned
    this.#next = next
    this.#host = host
    this.#current = cursor.snapshot()
    const self = this
    this.#processor = planned.operator.definition.openAsync!(
      (value, record) => {
        this.#outs.push(value)
        this.#outRecords.push(record)
        if (!this.#running) ready()
      },
      {
        get record() {
          return self.#current
        },
        watermark: -Infinity,
        count: (counter, by = 1) => host.counters.add(`${planned.id}: ${counter}`, by),
        side: (output) => host.counters.add(`${planned.id}: side ${output}`),
        at: () => {},
        reject: (error, value, record) => host.reject(planned.id, error, value, record ?? this.#current),
      },
      (error) => {
        this.#failure ??= { error }
        if (!this.#running) ready()
      },
    )
  }

  /** Where the values of a stage enter. */
  intake(cursor: Cursor): Outlet {
    return { take: (value) => void this.#waiting.push({ value, record: cursor.snapshot() }) }
  }

  /** Hands over what waits, as fast as the operator takes it. */
  async run(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    await this.#guard(async () => {
      for (const { value, record } of waiting) {
        this.#current = record
        const ready = this.#processor.process(value)
        if (ready !== undefined) await ready
      }
    })
    this.#deliver()
  }

  /** Everything that came in has come out; more may come. */
  async drain(): Promise<void> {
    await this.run()
    await this.#guard(async () => this.#processor.drain?.())
    this.#deliver()
  }

  async flush(): Promise<void> {
    await this.run()
    await this.#guard(async () => this.#processor.flush())
    this.#deliver()
    this.#next.flush()
  }

  destroy(error?: Error): void {
    this.#processor.destroy?.(error)
  }

  #deliver(): void {
    if (this.#outs.length === 0) return
    const outs = this.#outs
    const records = this.#outRecords
    this.#outs = []
    this.#outRecords = []
    // A batch has one partition; results of several may have come together.
    for (let from = 0, to = 1; from < outs.length; from = to, to++) {
      const first = records[from] as RecordInfo
      while (to < outs.length && samePartition(first, records[to] as RecordInfo)) to++
      this.#next.take(batchOf(outs.slice(from, to), records.slice(from, to)))
    }
  }

  async #guard(run: () => Promise<void>): Promise<void> {
    this.#running = true
    try {
      await run()
      if (this.#failure !== undefined) throw this.#failure.error
    } catch (error) {
      throw this.#host.attribute(this.planned.id, error, undefined, this.#current)
    } finally {
      this.#running = false
    }
  }
}

function samePartition(a: RecordInfo, b: RecordInfo): boolean {
  return a.partition === b.partition && a.source === b.source && a.identity === b.identity
}
