import { createReadStream } from 'node:fs'
import { mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { MillraceError, reasonOf } from '../core/errors.ts'
import {
  type LocalJobOptions,
  type LocalJobReport,
  mergeParts,
  runLocalJob,
  temporaryOutput,
} from '../hadoop/local-job.ts'
import { withoutKeys } from '../hadoop/without-keys.ts'
import { duration, number } from '../observe/progress.ts'
import type { Pipeline } from '../plan/pipeline.ts'
import type { PlannedFlow } from '../plan/plan.ts'
import { flushed, stdoutError } from '../sinks/standard-output.ts'
import { byName, FORMAT_OPTIONS, formatName, parseOptions, wholeNumber } from './arguments.ts'
import { chooseFlow } from './choose-flow.ts'
import type { Invocation } from './context.ts'
import { stopOnSignals } from './signals.ts'

/** `batch`: the MapReduce job on this machine, into a folder of parts or, merged by key, to stdout. */
export async function batchCommand({ plan }: Pipeline, argv: readonly string[], invocation: Invocation): Promise<void> {
  const values = parseOptions(
    argv,
    {
      input: { type: 'string', multiple: true },
      output: { type: 'string' },
      splits: { type: 'string' },
      reducers: { type: 'string' },
      combine: { type: 'string' },
      flow: { type: 'string' },
      quiet: { type: 'boolean' },
      ...FORMAT_OPTIONS,
    },
    'batch',
  )
  const { output } = values
  const inputs = inputsOf(
    'batch',
    values.input ?? [],
    plan.sources.map((source) => source.name),
  )
  const flows = values.flow === undefined && output !== undefined ? plan.flows : [chooseFlow(plan, values.flow)]
  const format = formatName(values.format)
  const splits = wholeNumber('--splits', values.splits, 1)
  const reducers = wholeNumber('--reducers', values.reducers, 1)
  const combine = wholeNumber('--combine', values.combine, 0)
  if (output !== undefined) await refuseExisting(output)
  const stop = stopOnSignals(() => {})
  const started = performance.now()
  const quiet = values.quiet === true
  const jobOf = (flow: PlannedFlow): LocalJobOptions => ({
    plan,
    flow,
    inputs,
    ...(splits === undefined ? {} : { splits }),
    ...(reducers === undefined ? {} : { reducers }),
    ...(combine === undefined ? {} : { combine }),
    ...(format === undefined ? {} : { format }),
    ...(values.columns === undefined ? {} : { columns: values.columns.split(',') }),
    reenter: invocation.reenter,
    signal: stop.signal,
    ...(quiet || process.stderr.isTTY !== true
      ? {}
      : {
          onProgress: (done, all) =>
            void process.stderr.write(
              `\r\u001b[K${plan.name}: ${done} of ${all} tasks done${done === all ? '\n' : ''}`,
            ),
        }),
  })
  try {
    const reports: LocalJobReport[] = []
    if (output === undefined) reports.push(await toStdout(jobOf(flows[0]!)))
    else reports.push(...(await toFolder(flows, jobOf, output)))
    if (quiet) return
    for (const report of reports)
      for (const line of describeJob(report, (performance.now() - started) / 1000)) process.stderr.write(`${line}\n`)
  } catch (error) {
    if (stop.signal.aborted)
      throw new MillraceError('MLR_ERR_CHILD', 'stopped: a job that is cut off gives no output', { cause: error })
    throw error
  } finally {
    stop.release()
  }
}

export function inputsOf(command: string, given: readonly string[], names: readonly string[]): Map<string, string> {
  if (given.length === 0)
    throw new MillraceError('MLR_ERR_USAGE', `${command} needs --input PATH; see ${command} --help`)
  if (given.includes('-'))
    throw new MillraceError('MLR_ERR_USAGE', `${command} --input -: several processes can't share stdin; name a file`)
  return byName('--input', given, names)
}

async function toFolder(
  flows: readonly PlannedFlow[],
  jobOf: (flow: PlannedFlow) => LocalJobOptions,
  output: string,
): Promise<LocalJobReport[]> {
  const folder = await writable(output, () => temporaryOutput(output))
  try {
    const reports: LocalJobReport[] = []
    for (const flow of flows) {
      const parts = flows.length === 1 ? folder : await writable(output, () => temporaryOutput(join(folder, flow.name)))
      reports.push(await runLocalJob(jobOf(flow), parts))
      if (parts !== folder) await rename(parts, join(folder, flow.name))
    }
    await writeFile(join(folder, '_SUCCESS'), '')
    await refuseExisting(output)
    await rename(folder, output)
    return reports
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function toStdout(job: LocalJobOptions): Promise<LocalJobReport> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-parts-'))
  try {
    const table = job.flow.over === 'table'
    const report = await runLocalJob({ ...job, withKeys: table }, folder)
    if (table) {
      const merge = mergeParts(report.parts)
      merge.stdin.end()
      await copyToStdout(merge.stdout.pipe(withoutKeys()))
      await merge.ended
    } else for (const part of report.parts) await copyToStdout(createReadStream(part))
    await flushed()
    return report
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function copyToStdout(from: NodeJS.ReadableStream): Promise<void> {
  try {
    from.pipe(process.stdout, { end: false })
    await Promise.race([finished(from), new Promise((_, reject) => process.stdout.once('error', reject))])
  } catch (error) {
    throw stdoutError(error)
  }
}

async function refuseExisting(output: string): Promise<void> {
  const exists = await stat(output).then(
    () => true,
    () => false,
  )
  if (exists)
    throw new MillraceError('MLR_ERR_OUTPUT_EXISTS', `the output ${output} exists — remove it or name another`)
}

async function writable<T>(output: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make()
  } catch (error) {
    throw new MillraceError('MLR_ERR_OUTPUT_WRITE', `cannot write ${output}: ${reasonOf(error)}`, { cause: error })
  }
}

function describeJob({ counters, firstSkipped, parts }: LocalJobReport, seconds: number): string[] {
  const skipped = counters.entries().filter(([name]) => name.startsWith('skipped '))
  const total = skipped.reduce((sum, [, count]) => sum + count, 0)
  const lines = [
    `read ${number(counters.get('map records read'))} records, skipped ${number(total)}, ${parts.length} parts, in ${duration(seconds)}`,
  ]
  if (total > 0) lines.push('the first:', ...firstSkipped.map((line) => `  ${line.replace(/^skipped /, '')}`))
  return lines
}
