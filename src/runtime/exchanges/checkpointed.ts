import { performance } from 'node:perf_hooks'
import { setImmediate as afterEvents, setTimeout as sleep } from 'node:timers/promises'
import type { CheckpointLog } from '../../checkpoints/log.ts'
import type { Batch } from '../../core/record.ts'
import type { Plan, PlannedFlow } from '../../plan/plan.ts'
import type { Sink, TaskSink } from '../../sinks/sink.ts'
import type { Claim, SourceReader } from '../../sources/source.ts'
import { CheckpointPace } from '../checkpoint-pace.ts'
import { Execution } from '../execution.ts'
import { deadLetterFlows, promiseOf, refuseUnfit } from '../fitness.ts'
import { type RunReport, reportOf } from '../report.ts'
import { type Positions, Task } from '../task.ts'
import { openTaskSinks } from '../task-sinks.ts'
import type { Progress } from './inline.ts'

export interface CheckpointedOptions {
  readonly log: CheckpointLog
  /** Time between checkpoints. Default 250. Stretched so that checkpoints take at most a tenth of the time. */
  readonly intervalMs?: number
  readonly follow?: boolean
  /** Sources without end end where their end is now. */
  readonly untilEnd?: boolean
  /** End when nothing has come for so long. */
  readonly untilIdleMs?: number
  readonly fresh?: boolean
  readonly takeOver?: boolean
  readonly dropStates?: readonly string[]
  /** Gets every skipped record. */
  readonly deadLetters?: Sink<unknown>
  readonly signal?: AbortSignal
  readonly say: (line: string) => void
  /** Called after each checkpoint: how long it took from its cut to the end of its publishing, and how long after the one before it was begun. */
  readonly onCheckpoint?: (checkpoint: { readonly ms: number; readonly intervalMs: number | undefined }) => void
  readonly onProgress?: (progress: Progress) => void
  readonly onInputEnd?: (progress: Progress) => void
}

const INTERVAL_MS = 250
/** A live owner that has nothing to write is seen to live all the same. */
const HEARTBEAT_MS = 3000
/** How often it is looked whether a checkpoint is due. */
const LOOK_MS = 50
const PROGRESS_MS = 100
const LONGEST_TURN_MS = 10
/** So many events may wait for the next checkpoint; then the sources wait for it. */
const MOST_WAITING = 50_000

/** Runs a plan in this thread with checkpoints: exactly once for sources that resume and sinks that take part. */
export async function runCheckpointed(plan: Plan, options: CheckpointedOptions): Promise<RunReport> {
  const flows = [...plan.flows, ...deadLetterFlows(plan, options.deadLetters)]
  refuseUnfit(plan, flows)
  const sinks = new Map<PlannedFlow, TaskSink>()
  const claims = new Map<string, Claim>()
  try {
    for (const { name, source } of plan.sources) {
      if (source.source.claim === undefined) continue
      const claim = await source.source.claim({
        pipeline: plan.name,
        say: options.say,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      })
      if (claim === undefined) return NOTHING
      claims.set(name, claim)
    }
    await openTaskSinks(plan, flows, sinks, options.say)
    for (const line of new Set([...sinks].map(([flow, sink]) => promiseOf(plan, flow, sink))))
      options.say(`${line}, checkpoints in ${options.log.label}`)
    // Who was given the partitions by the group need not wait for a former owner to be dead.
    const takeOver = options.takeOver === true || (claims.size > 0 && claims.size === plan.sources.length)
    const task = await Task.start({ plan, sinks, ...options, takeOver })
    if (task === undefined) return NOTHING
    try {
      return await new CheckpointedRun(plan, task, sinks, claims, options).run()
    } finally {
      await task.close()
    }
  } finally {
    for (const sink of sinks.values()) await sink.close()
    for (const claim of claims.values()) await claim.release()
    await options.log.close()
  }
}

const NOTHING: RunReport = {
  read: 0,
  skipped: 0,
  firstSkipped: [],
  skippedByCode: [],
  written: [],
  counters: [],
  seconds: 0,
  stopped: false,
}

class CheckpointedRun {
  readonly #plan: Plan
  readonly #task: Task
  readonly #options: CheckpointedOptions
  readonly #execution: Execution
  readonly #positions: Positions
  readonly #claims: ReadonlyMap<string, Claim>
  #readers: SourceReader[] = []
  #checkpointing: Promise<void> | undefined
  #lastWritten = performance.now()
  #lastRead = performance.now()
  readonly #pace: CheckpointPace
  #stopped = false
  #stop = (): void => {}
  #failure: { readonly error: unknown } | undefined
  /** What boundaries hold is worked off by one call after the other. */
  #settling: Promise<void> = Promise.resolve()
  /** While boundaries are drained for a cut no batch may come in. */
  #gate: Promise<void> | undefined
  readonly #intervals: number[] = []
  #longestMs = 0
  #loopBefore = performance.eventLoopUtilization()
  #lastBegun: number | undefined

  constructor(
    plan: Plan,
    task: Task,
    sinks: ReadonlyMap<PlannedFlow, TaskSink>,
    claims: ReadonlyMap<string, Claim>,
    options: CheckpointedOptions,
  ) {
    this.#plan = plan
    this.#claims = claims
    this.#task = task
    this.#options = options
    const { deadLetters } = options
    this.#execution = new Execution(plan, {
      live: true,
      wantsLineage: (flow) => sinks.get(flow)?.wantsLineage === true,
      onReady: () => void this.#settle().catch((error: unknown) => this.#fail(error)),
      ...(deadLetters === undefined ? {} : { deadLetters }),
    })
    this.#positions = structuredClone(task.head.positions) as Positions
    this.#pace = new CheckpointPace(options.intervalMs ?? INTERVAL_MS)
  }

  async run(): Promise<RunReport> {
    const started = performance.now()
    const { signal, onProgress, say } = this.#options
    const stop = (): void => {
      this.#stopped = true
      for (const reader of this.#readers) reader.stop()
    }
    this.#stop = stop
    let progressing: NodeJS.Timeout | undefined
    try {
      const restored = await this.#task.load(this.#execution)
      if (restored > 0) say(`restored ${restored} rows of state`)
      this.#readers = await Promise.all(
        this.#plan.sources.map(({ name, source }) =>
          source.source.open({
            name,
            positions: this.#positions[name] ?? {},
            follow: this.#options.follow === true,
            untilEnd: this.#options.untilEnd === true,
            pipeline: this.#plan.name,
            say,
            ...(this.#claims.has(name) ? { claim: this.#claims.get(name) as Claim } : {}),
          }),
        ),
      )
      this.#plan.sources.forEach(({ name }, i) => {
        this.#positions[name] = { ...this.#positions[name], ...this.#readers[i]?.begins?.() }
      })
      signal?.addEventListener('abort', stop, { once: true })
      if (signal?.aborted === true) stop()
      if (onProgress !== undefined) progressing = setInterval(() => onProgress(this.#progress()), PROGRESS_MS)
      await this.#pumpAndCheckpoint(stop)
      await this.#settle()
      await this.#execution.drain()
      if (this.#failure !== undefined) throw this.#failure.error
      clearInterval(progressing)
      this.#options.onInputEnd?.(this.#progress())
      // The last one says that nobody owns the task.
      await this.#task.checkpoint(this.#execution, () => this.#cut(), { release: true })
    } catch (error) {
      stop()
      this.#execution.destroy(error instanceof Error ? error : undefined)
      throw error
    } finally {
      clearInterval(progressing)
      signal?.removeEventListener('abort', stop)
    }
    return this.#report((performance.now() - started) / 1000)
  }

  async #pumpAndCheckpoint(stop: () => void): Promise<void> {
    let ended = false
    // To bring a large state back takes long; that was no idle time.
    this.#lastRead = performance.now()
    const clock = async (): Promise<void> => {
      while (!ended) {
        const now = performance.now()
        await sleep(Math.max(1, Math.min(LOOK_MS, this.#dueAt(now) - now)))
        const { untilIdleMs } = this.#options
        if (untilIdleMs !== undefined && performance.now() - this.#lastRead > untilIdleMs) stop()
        if (!ended && performance.now() >= this.#dueAt(performance.now())) await this.#checkpointOnce()
      }
    }
    const pumps = Promise.all(
      this.#plan.sources.map(({ name }, i) => this.#pump(name, this.#readers[i] as SourceReader)),
    ).finally(() => {
      ended = true
    })
    const clocking = clock()
    try {
      await Promise.all([pumps, clocking])
    } catch (error) {
      ended = true
      stop()
      await Promise.allSettled([pumps, clocking])
      throw error
    }
  }

  async #pump(source: string, batches: AsyncIterable<Batch>): Promise<void> {
    let turn = performance.now()
    let waiting = 0
    const partitions = (this.#positions[source] ??= {})
    for await (const batch of batches) {
      while (this.#gate !== undefined) await this.#gate
      if (this.#stopped) return
      const before = this.#execution.host.counters.get('read')
      this.#execution.take(source, batch)
      // With the batch, not after a pause: between the two there must be no cut.
      if (batch.resume !== undefined) partitions[batch.resume.partition] = batch.resume.position
      this.#lastRead = performance.now()
      if (this.#execution.hasBoundaries) await this.#settle()
      waiting += this.#execution.host.counters.get('read') - before
      if (waiting > MOST_WAITING && this.#execution.tables.length === 0) {
        await this.#checkpointOnce()
        waiting = 0
      }
      if (performance.now() - turn > LONGEST_TURN_MS) {
        await afterEvents()
        turn = performance.now()
      }
    }
  }

  #settle(): Promise<void> {
    if (!this.#execution.hasBoundaries) return Promise.resolve()
    const next = this.#settling.then(() => this.#execution.settle())
    // The chain goes on after a failure, which its own caller gets.
    this.#settling = next.catch(() => {})
    return next
  }

  /** Something failed that no source is waiting for. */
  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#stop()
  }

  /** One checkpoint at a time; who comes while one is written waits for it. */
  async #checkpointOnce(): Promise<void> {
    this.#checkpointing ??= this.#checkpoint().finally(() => {
      this.#checkpointing = undefined
    })
    await this.#checkpointing
  }

  async #checkpoint(): Promise<void> {
    const begun = performance.now()
    const { changes } = this.#execution
    const force = begun - this.#lastWritten > HEARTBEAT_MS
    if (this.#failure !== undefined) throw this.#failure.error
    const written = await this.#drained(() => this.#task.checkpoint(this.#execution, () => this.#cut(), { force }))
    const now = performance.now()
    if (written) {
      this.#plan.sources.forEach(({ name }, i) => {
        this.#readers[i]?.committed?.(this.#task.head.positions[name] ?? {})
      })
      this.#lastWritten = now
      this.#longestMs = Math.max(this.#longestMs, now - begun)
      const intervalMs = this.#lastBegun === undefined ? undefined : begun - this.#lastBegun
      if (intervalMs !== undefined) this.#intervals.push(intervalMs)
      this.#options.onCheckpoint?.({ ms: now - begun, intervalMs })
      this.#lastBegun = begun
    }
    this.#pace.took(begun, now, changes, this.#task.heldMs)
    this.#loopBefore = performance.eventLoopUtilization()
  }

  #dueAt(now: number): number {
    const { utilization } = performance.eventLoopUtilization(this.#loopBefore)
    return this.#pace.dueAt(this.#execution.changes, now - this.#lastRead, utilization)
  }

  /** Starts what must begin at a moment when nothing is inside a boundary. */
  async #drained<T>(run: () => Promise<T>): Promise<T> {
    if (!this.#execution.hasBoundaries) return run()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gate = promise
    let running: Promise<T>
    try {
      await this.#settle()
      const drained = this.#settling.then(() => this.#execution.drain())
      this.#settling = drained.catch(() => {})
      await drained
      // It makes the cut at once; what it writes then need hold nobody back.
      running = run()
    } finally {
      this.#gate = undefined
      resolve()
    }
    return running
  }

  #cut(): Positions {
    this.#execution.tick()
    return structuredClone(this.#positions)
  }

  #progress(): Progress {
    const known = this.#readers.map((reader) => reader.progress?.())
    const sum = (of: 'doneBytes' | 'totalBytes'): number =>
      known.reduce((all, progress) => all + (progress?.[of] ?? 0), 0)
    return {
      read: this.#execution.host.counters.get('read'),
      skipped: this.#execution.host.skipped.total,
      doneBytes: sum('doneBytes'),
      totalBytes: sum('totalBytes'),
    }
  }

  #report(seconds: number): RunReport {
    // Stopped or not: the next start goes on where this one was, so nothing is missing.
    const intervals = this.#intervals.toSorted((a, b) => a - b)
    return reportOf(this.#execution.host, {
      written: [...this.#task.published],
      seconds,
      stopped: false,
      checkpoints: {
        written: this.#task.written,
        wantedMs: this.#options.intervalMs ?? INTERVAL_MS,
        medianMs: intervals[Math.floor(intervals.length / 2)],
        longestMs: this.#longestMs,
      },
    })
  }
}
