import { RETRY_FOR } from '../connections/patience.ts'
import { isMillraceError, MillraceError } from '../core/errors.ts'
import { durationMs } from '../core/time.ts'
import { openCheckpointStore, sinkOfUrl, sourceOfUrl } from '../end-urls.ts'
import type { FileSinkOptions } from '../ends.ts'
import type { TextFormat } from '../formats/format.ts'
import { ProgressLine } from '../observe/progress.ts'
import { describeReport } from '../observe/summary.ts'
import { describeInLine } from '../plan/describe.ts'
import type { Pipeline } from '../plan/pipeline.ts'
import type { Plan } from '../plan/plan.ts'
import { withEnds } from '../plan/with-ends.ts'
import { type Progress, runInline } from '../runtime/exchanges/inline.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Source } from '../sources/source.ts'
import { byName, FORMAT_OPTIONS, formatOf, parseOptions, rotationOf } from './arguments.ts'
import { stopOnSignals } from './signals.ts'

/** `run`: as a stream, until the sources end or a signal comes. */
export async function runCommand(pipeline: Pipeline, argv: readonly string[]): Promise<void> {
  const values = parseOptions(
    argv,
    {
      from: { type: 'string', multiple: true },
      to: { type: 'string', multiple: true },
      sort: { type: 'string' },
      limit: { type: 'string' },
      live: { type: 'boolean' },
      tick: { type: 'string' },
      rotate: { type: 'string' },
      'dead-letter': { type: 'string' },
      quiet: { type: 'boolean' },
      checkpoint: { type: 'string' },
      'no-checkpoint': { type: 'boolean' },
      follow: { type: 'boolean' },
      'until-end': { type: 'boolean' },
      'until-idle': { type: 'string' },
      'retry-for': { type: 'string' },
      fresh: { type: 'boolean' },
      'take-over': { type: 'boolean' },
      'drop-state': { type: 'string', multiple: true },
      ...FORMAT_OPTIONS,
    },
    'run',
  )
  const retryFor = values['retry-for']
  if (retryFor !== undefined && durationMs(retryFor) >= 0) process.env[RETRY_FOR] = retryFor
  const rotate = values.rotate === undefined ? {} : { rotate: rotationOf(values.rotate) }
  const plan = withEnds(
    pipeline.plan,
    endsOf(pipeline.plan, values.from ?? [], values.to ?? [], formatOf(values), rotate),
  )
  const quiet = values.quiet === true
  const say = (text: string): void => {
    if (!quiet) process.stderr.write(`${text}\n`)
  }
  const live = values.live === true || plan.sources.some(({ source }) => !source.source.bounded)
  const progress = new ProgressLine()
  const stop = stopOnSignals(() => progress.clear())
  say(`${plan.name}: ${describeInLine(plan)}`)
  const endless = values.follow === true || plan.sources.some(({ source }) => !source.source.bounded)
  const checkpoint =
    values.checkpoint ?? (endless && values['no-checkpoint'] !== true ? await defaultCheckpoint(plan) : undefined)
  for (const option of ['until-idle', 'fresh', 'take-over', 'drop-state'] as const) {
    if (values[option] !== undefined && checkpoint === undefined)
      throw new MillraceError('MLR_ERR_USAGE', `--${option} is for runs with checkpoints: give --checkpoint FOLDER`)
  }
  const scrolls = live || values.follow === true || checkpoint !== undefined
  // Rows that scroll by and a line that is drawn over itself do not share a terminal.
  const shared =
    process.stdout.isTTY === true &&
    plan.flows.some((flow) => flow.sink.sink.kind === 'stdout' && (scrolls || flow.over === 'stream'))
  const deadLetter = values['dead-letter']
  const deadLetters = deadLetter === undefined ? {} : { deadLetters: sinkOfUrl(deadLetter, { format: 'json' }) }
  const showing =
    quiet || shared
      ? {}
      : { onProgress: (now: Progress) => progress.draw(now), onInputEnd: (end: Progress) => progress.finish(end) }
  try {
    if (checkpoint !== undefined) {
      const { CheckpointLog } = await import('../checkpoints/log.ts')
      const { runCheckpointed } = await import('../runtime/exchanges/checkpointed.ts')
      const report = await runCheckpointed(plan, {
        log: new CheckpointLog(await openCheckpointStore(checkpoint, plan.name, say)),
        ...(values.tick === undefined ? {} : { intervalMs: durationMs(values.tick) }),
        ...(values['until-idle'] === undefined ? {} : { untilIdleMs: durationMs(values['until-idle']) }),
        follow: values.follow === true,
        untilEnd: values['until-end'] === true,
        fresh: values.fresh === true,
        takeOver: values['take-over'] === true,
        dropStates: values['drop-state'] ?? [],
        ...deadLetters,
        signal: stop.signal,
        say,
        ...showing,
      })
      for (const line of describeReport(plan, report, deadLetter)) say(line)
      return
    }
    say('no checkpoints: a run that is cut off starts again from the beginning')
    const report = await runInline(plan, {
      live,
      follow: values.follow === true,
      untilEnd: values['until-end'] === true,
      say,
      ...(values.tick === undefined ? {} : { tickMs: durationMs(values.tick) }),
      ...deadLetters,
      signal: stop.signal,
      ...showing,
    })
    for (const line of describeReport(plan, report, deadLetter)) say(line)
  } catch (error) {
    const others = deadLetter !== undefined || plan.flows.some((flow) => flow.sink.sink.kind !== 'stdout')
    if (!others || !isMillraceError(error, 'MLR_ERR_OUTPUT_CLOSED')) throw error
    // `| head` has what it wanted, the file beside it has not.
    throw new MillraceError(
      'MLR_ERR_OUTPUT_WRITE',
      `${error.message}, so the run has ended and nothing was written elsewhere`,
      { cause: error },
    )
  } finally {
    progress.clear()
    stop.release()
  }
}

function endsOf(
  plan: Plan,
  from: readonly string[],
  to: readonly string[],
  format: Partial<TextFormat> | undefined,
  rotate: Pick<FileSinkOptions, 'rotate'>,
): { readonly sources: ReadonlyMap<string, Source<unknown>>; readonly sinks: ReadonlyMap<string, Sink<unknown>> } {
  const sources = new Map<string, Source<unknown>>()
  for (const [name, url] of byName(
    '--from',
    from,
    plan.sources.map((source) => source.name),
  ))
    sources.set(name, sourceOfUrl(url))
  const urls = byName(
    '--to',
    to,
    plan.flows.map((flow) => flow.name),
  )
  const sinks = new Map<string, Sink<unknown>>()
  for (const flow of plan.flows) {
    const url = urls.get(flow.name)
    const declared = flow.sink.sink
    const own = {
      format: declared.format ?? 'json',
      ...(declared.columns === undefined ? {} : { columns: declared.columns }),
    }
    const sink = url === undefined ? flow.sink : sinkOfUrl(url, { ...own, ...rotate })
    if (format === undefined) {
      if (url !== undefined) sinks.set(flow.name, sink)
      continue
    }
    if (sink.sink.withFormat === undefined) {
      throw new MillraceError(
        'MLR_ERR_USAGE',
        `--format, --columns: the sink '${flow.name}' writes no text — give a text sink with --to`,
      )
    }
    sinks.set(flow.name, sink.sink.withFormat({ ...own, ...format }))
  }
  return { sources, sinks }
}

/**
 * Where a run without end keeps its checkpoints if nothing else is said: in its sink's own system, else in the working folder, if everything in it can take part. What only shows
 * rows on a terminal shows them from the beginning each time.
 */
async function defaultCheckpoint(plan: Plan): Promise<string | undefined> {
  const { whyUnfit } = await import('../runtime/fitness.ts')
  const keeps = plan.flows.every(({ sink }) => sink.sink.kind !== 'stdout')
  if (!keeps || whyUnfit(plan).length > 0) return undefined
  const own = plan.flows.map(({ sink }) => sink.sink.checkpointUrl).find((url) => url !== undefined)
  return own ?? `.millrace/${plan.name}`
}
