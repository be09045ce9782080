import { performance } from 'node:perf_hooks'
import { setImmediate as afterEvents } from 'node:timers/promises'
import type { DeadLetterSink } from '../../core/operator.ts'
import type { Batch } from '../../core/record.ts'
import type { Plan, PlannedFlow } from '../../plan/plan.ts'
import type { Sink, SinkWriter } from '../../sinks/sink.ts'
import type { SourceReader } from '../../sources/source.ts'
import { Execution } from '../execution.ts'
import type { Port } from '../port.ts'
import { type RunReport, reportOf } from '../report.ts'

export interface InlineOptions {
  /** Send rows at ticks, not only at the end. Always so where a source has no end. */
  readonly live?: boolean
  /** Do not end at the end of files: wait for more. */
  readonly follow?: boolean
  /** Sources without end end where their end is now. */
  readonly untilEnd?: boolean
  /** Gets what a user should know, a line at a time. */
  readonly say?: (line: string) => void
  /** Time between ticks. Default 250. */
  readonly tickMs?: number
  /** Gets every skipped record as JSON lines. */
  readonly deadLetters?: Sink<unknown>
  /** Stops the sources; what was read is finished and written. */
  readonly signal?: AbortSignal
  /** Called while it runs, about ten times a second. */
  readonly onProgress?: (progress: Progress) => void
  /** The sources have ended; the last rows are about to be written. */
  readonly onInputEnd?: (progress: Progress) => void
}

export interface Progress {
  readonly read: number
  readonly skipped: number
  readonly doneBytes: number | undefined
  readonly totalBytes: number | undefined
}

const TICK_MS = 250
/** A source that never waits (generated, in memory, in the system's cache) must not keep ticks, signals and progress from running. */
const LONGEST_TURN_MS = 10
const PROGRESS_MS = 100

/**
 * Runs a plan in this thread, both sides of every cut. Resolves when the sources have ended (or `signal` stopped them) and everything
 * is written; rejects with the first error, and then no file has appeared under its final name.
 */
export async function runInline(plan: Plan, options: InlineOptions = {}): Promise<RunReport> {
  const run = new InlineRun(plan, options)
  return run.run()
}

class InlineRun {
  readonly #plan: Plan
  readonly #options: InlineOptions
  readonly #live: boolean
  readonly #execution: Execution
  readonly #written = new Map<PlannedFlow, number>()
  #writers: {
    readonly port: Pick<Port, 'take'>
    readonly writer: SinkWriter
    readonly flow: PlannedFlow | undefined
  }[] = []
  #readers: SourceReader[] = []
  #writing: Promise<void> = Promise.resolve()
  #stopped = false
  #failure: { readonly error: unknown } | undefined
  #readying = false

  constructor(plan: Plan, options: InlineOptions) {
    this.#plan = plan
    this.#options = options
    this.#live =
      options.live === true || options.follow === true || plan.sources.some(({ source }) => !source.source.bounded)
    this.#execution = new Execution(plan, {
      live: this.#live,
      onReady: () => this.#writeSoon(),
      ...(options.deadLetters === undefined ? {} : { deadLetters: options.deadLetters }),
    })
  }

  async run(): Promise<RunReport> {
    const started = performance.now()
    const { signal, onProgress } = this.#options
    const stop = (): void => {
      this.#stopped = true
      for (const reader of this.#readers) reader.stop()
    }
    let progressing: NodeJS.Timeout | undefined
    try {
      await this.#openEnds()
      signal?.addEventListener('abort', stop, { once: true })
      if (signal?.aborted === true) stop()
      if (onProgress !== undefined) progressing = setInterval(() => onProgress(this.#progress()), PROGRESS_MS)
      const ticking = this.#live ? this.#startTicking() : undefined
      try {
        await this.#pumpAll()
      } finally {
        await ticking?.()
      }
      if (this.#failure !== undefined) throw this.#failure.error
      clearInterval(progressing)
      this.#options.onInputEnd?.(this.#progress())
      await this.#execution.finishAll()
      await this.#write()
      for (const { writer } of this.#writers) await writer.close()
    } catch (error) {
      stop()
      this.#execution.destroy(error instanceof Error ? error : undefined)
      await this.#abort()
      throw error
    } finally {
      clearInterval(progressing)
      signal?.removeEventListener('abort', stop)
    }
    return this.#report((performance.now() - started) / 1000, signal?.aborted === true)
  }

  async #openEnds(): Promise<void> {
    // Sources first: an input that is not there must not leave an output behind.
    this.#readers = await Promise.all(
      this.#plan.sources.map(({ name, source }) =>
        source.source.open({
          name,
          follow: this.#options.follow === true,
          untilEnd: this.#options.untilEnd === true,
          pipeline: this.#plan.name,
          say: this.#options.say ?? (() => {}),
        }),
      ),
    )
    for (const [flow, port] of this.#execution.ports) {
      this.#writers.push({ port, writer: await flow.sink.sink.open(), flow })
    }
    for (const [sink, port] of this.#execution.deadLetterPorts) {
      this.#writers.push({ port, writer: await (sink as DeadLetterSink & Sink<unknown>).sink.open(), flow: undefined })
    }
  }

  /** All sources at once; when one fails the others are stopped, and its error is the one that counts. */
  async #pumpAll(): Promise<void> {
    const pumps = this.#plan.sources.map(({ name }, i) => this.#pump(name, this.#readers[i] as SourceReader))
    try {
      await Promise.all(pumps)
    } catch (error) {
      this.#stopped = true
      for (const reader of this.#readers) reader.stop()
      await Promise.allSettled(pumps)
      throw error
    }
  }

  async #pump(source: string, batches: AsyncIterable<Batch>): Promise<void> {
    let turn = performance.now()
    for await (const batch of batches) {
      if (this.#stopped) return
      this.#execution.take(source, batch)
      await this.#write()
      if (performance.now() - turn > LONGEST_TURN_MS) {
        await afterEvents()
        turn = performance.now()
      }
    }
  }

  /** Works off the boundaries and writes what came out, one call after the other: a slow sink holds every source back. */
  #write(): Promise<void> {
    const next = this.#writing.then(async () => {
      if (this.#execution.hasBoundaries) await this.#execution.settle()
      for (const { port, writer, flow } of this.#writers) {
        for (const output of port.take()) {
          if (flow !== undefined) {
            const items = output.kind === 'events' ? output.values : output.changes
            this.#written.set(flow, (this.#written.get(flow) ?? 0) + items.length)
          }
          await writer.write(output)
        }
      }
    })
    // The chain goes on after a failure, which its own caller gets.
    this.#writing = next.catch(() => {})
    return next
  }

  /** What came out of a boundary between two batches need not wait for the next one. */
  #writeSoon(): void {
    if (this.#readying) return
    this.#readying = true
    setImmediate(() => {
      this.#readying = false
      this.#write().catch((error: unknown) => this.#fail(error))
    })
  }

  /** Something failed that no source is waiting for: the sources are stopped, and the run ends with this error. */
  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#stopped = true
    for (const reader of this.#readers) reader.stop()
  }

  #startTicking(): () => Promise<void> {
    const { tickMs = TICK_MS } = this.#options
    let ticking: Promise<void> | undefined
    const tick = async (): Promise<void> => {
      this.#execution.tick()
      await this.#write()
    }
    const timer = setInterval(() => {
      // While the last tick is still being written there is no other: the next one will carry more.
      ticking ??= tick()
        .catch((error: unknown) => this.#fail(error))
        .finally(() => {
          ticking = undefined
        })
    }, tickMs)
    return async () => {
      clearInterval(timer)
      await ticking
    }
  }

  async #abort(): Promise<void> {
    await this.#writing
    // What failed first is what the user must hear; a file that could not be removed is not.
    await Promise.allSettled(this.#writers.map(({ writer }) => writer.abort()))
  }

  #progress(): Progress {
    const known = this.#readers.map((reader) => reader.progress?.())
    const all = known.length > 0 && known.every((progress) => progress !== undefined)
    return {
      read: this.#execution.host.counters.get('read'),
      skipped: this.#execution.host.skipped.total,
      doneBytes: all ? known.reduce((sum, progress) => sum + (progress?.doneBytes ?? 0), 0) : undefined,
      totalBytes: all ? known.reduce((sum, progress) => sum + (progress?.totalBytes ?? 0), 0) : undefined,
    }
  }

  #report(seconds: number, stopped: boolean): RunReport {
    const written = [...this.#written].map(([flow, count]) => [flow.name, count] as const)
    return reportOf(this.#execution.host, { written, seconds, stopped })
  }
}
