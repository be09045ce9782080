import type { Pipeline } from './plan/pipeline.ts'
import type { Ends } from './plan/with-ends.ts'
import type { InlineOptions } from './runtime/exchanges/inline.ts'
import type { RunReport } from './runtime/report.ts'

/**
 * Makes a module a program: does what its command line says (`run`, the default, `describe`, `map`, `combine`, `reduce`, `batch`,
 * `verify`, `--help`), writes data to stdout and everything else to stderr, and sets the exit code: 0 done, 1 failed, 2 wrong usage.
 * It never rejects.
 *
 * @example
 * ```ts no-run
 * if (import.meta.main) await run(clickstream)
 * ```
 */
export async function run(pipeline: Pipeline): Promise<void> {
  const { main } = await import('./cli/main.ts')
  const module = process.argv[1] ?? ''
  await main(pipeline, process.argv.slice(2), {
    program: 'node pipeline.ts',
    module,
    reenter: (command) => [module, command],
  })
}

export interface RunOptions extends InlineOptions, Ends {
  /** A folder for checkpoints: a run that is cut off goes on where it was. Its sources must resume and its sinks take part. */
  readonly checkpoint?: string
  /** Only with `checkpoint`: end when nothing has come for so many milliseconds. */
  readonly untilIdleMs?: number
  /** Only with `checkpoint`: read everything again, as a new generation. */
  readonly fresh?: boolean
  /** Only with `checkpoint`: do not wait for an owner that may live. */
  readonly takeOver?: boolean
  /** Only with `checkpoint`: states that may go. */
  readonly dropStates?: readonly string[]
  /** Only with `checkpoint`: called after each one, in milliseconds; for metrics. */
  readonly onCheckpoint?: (checkpoint: { readonly ms: number; readonly intervalMs: number | undefined }) => void
}

/**
 * Runs a pipeline inside your own program. Resolves with what it did when its sources have ended and everything is written; rejects with
 * the first error, and then no file has appeared under its final name.
 *
 * @example
 * ```ts
 * const out: number[] = []
 * const twice = pipeline('twice', from(memory([1, 2])).pipe(map((n) => n * 2)).to(memory(out)))
 * const report = await execute(twice)
 * // report.read === 2, out is [2, 4]
 * ```
 */
export async function execute(pipeline: Pipeline, options: RunOptions = {}): Promise<RunReport> {
  const { withEnds } = await import('./plan/with-ends.ts')
  const { checkpoint, tickMs, say = () => {}, ...rest } = options
  if (checkpoint !== undefined) {
    const { openCheckpointStore } = await import('./end-urls.ts')
    const { CheckpointLog } = await import('./checkpoints/log.ts')
    const { runCheckpointed } = await import('./runtime/exchanges/checkpointed.ts')
    const log = new CheckpointLog(await openCheckpointStore(checkpoint, pipeline.name, say))
    return runCheckpointed(withEnds(pipeline.plan, options), {
      ...rest,
      log,
      say,
      ...(tickMs === undefined ? {} : { intervalMs: tickMs }),
    })
  }
  const { runInline } = await import('./runtime/exchanges/inline.ts')
  return runInline(withEnds(pipeline.plan, options), options)
}
