import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { MillraceError, printable } from '../core/errors.ts'
import { type Bundle, bundle } from './bundle.ts'
import { type HadoopClient, type JobResult, StreamingClient } from './hadoop-client.ts'
import type { JobFiles } from './job-files.ts'
import { type StreamingOptions, type StreamingStep, streamingSteps } from './streaming.ts'
import type { Yarn } from './yarn.ts'

export interface SubmitOptions extends Omit<StreamingOptions, 'command'> {
  /** The path of the module that holds the pipeline. */
  readonly module: string
  readonly client: HadoopClient
  /** Undefined: Hadoop's local runner. */
  readonly yarn: Yarn | undefined
  readonly files: JobFiles
  /** What starts Node on a worker. */
  readonly node: string
  /** Archives that the workers unpack: `hdfs:///path.tgz#name`. */
  readonly archives: readonly string[]
  readonly signal?: AbortSignal
  readonly say: (line: string) => void
  readonly onProgress?: (progress: JobProgress) => void
}

export interface JobProgress {
  readonly step: number
  readonly steps: number
  /** Percent. */
  readonly map: number
  readonly reduce: number
}

export interface SubmitReport {
  readonly jobs: readonly string[]
  readonly read: number
  readonly skipped: number
  readonly firstSkipped: readonly string[]
  readonly written: number
  readonly parts: number
}

/** How long a job may wait for its first container before that is told. */
const PATIENCE_MS = 10_000
const LOOK_MS = 2000

/** Runs a flow as streaming jobs, one after the other. The output is there as a whole or not at all. */
export async function submit(options: SubmitOptions): Promise<SubmitReport> {
  const { files, output, plan, module } = options
  const work = await mkdtemp(join(tmpdir(), 'millrace-hadoop-'))
  const made: string[] = []
  try {
    const bundled = await bundle(module, plan.name, work)
    const steps = streamingSteps({ ...options, command: [options.node, basename(bundled.entry)] })
    for (const step of steps) await files.refuseExisting(step.output)
    const jobs: string[] = []
    const totals = new Map<string, number>()
    const skipped: string[] = []
    for (const [i, step] of steps.entries()) {
      // The local runner links the job's files in the folder in which it runs.
      const cwd = await mkdtemp(join(work, 'job-'))
      const job = new Job(options, bundled, step, cwd, { step: i + 1, steps: steps.length })
      let result: JobResult
      try {
        result = await job.run()
      } finally {
        // A job that was refused has made nothing: the folder that was in its way is somebody else's.
        if (job.name !== '') made.push(step.output)
      }
      jobs.push(job.name)
      skipped.push(...result.skipped)
      for (const [name, count] of result.counters.get('millrace') ?? [])
        if (i === 0 || name.startsWith('skipped ')) totals.set(name, (totals.get(name) ?? 0) + count)
      const framework = result.counters.get('Map-Reduce Framework')
      totals.set(
        'written',
        framework?.get(
          options.reducers > 0 && framework.has('Reduce output records')
            ? 'Reduce output records'
            : 'Map output records',
        ) ?? 0,
      )
    }
    const outputs = made.splice(0)
    for (const path of outputs) if (path !== output) await files.remove(path)
    return {
      jobs,
      read: totals.get('map records read') ?? 0,
      skipped: [...totals].filter(([name]) => name.startsWith('skipped ')).reduce((sum, [, count]) => sum + count, 0),
      firstSkipped: skipped.slice(0, 3),
      written: totals.get('written') ?? 0,
      parts: await files.parts(output),
    }
  } finally {
    // What a failed job leaves would refuse the next one.
    for (const path of made) await files.remove(path).catch(() => {})
    await rm(work, { recursive: true, force: true })
  }
}

class Job {
  readonly #options: SubmitOptions
  readonly #step: StreamingStep
  readonly #client: StreamingClient
  /** What Hadoop calls it, once it has taken it. */
  name = ''
  #application: string | undefined
  #yarn: Yarn | undefined
  #begun = false
  #stderr: Promise<string | undefined> | undefined

  constructor(
    options: SubmitOptions,
    { files }: Bundle,
    step: StreamingStep,
    cwd: string,
    at: { readonly step: number; readonly steps: number },
  ) {
    this.#options = options
    this.#step = step
    this.#yarn = options.yarn
    const shipped = [
      ...['-files', files.join(',')],
      ...(options.archives.length === 0 ? [] : ['-archives', options.archives.join(',')]),
    ]
    const runner = ['-D', `mapreduce.framework.name=${options.yarn === undefined ? 'local' : 'yarn'}`]
    this.#client = new StreamingClient(options.client, [...runner, ...shipped, ...step.arguments], cwd, {
      onProgress: (map, reduce) => {
        this.#begun ||= map + reduce > 0
        options.onProgress?.({ ...at, map, reduce })
      },
      onJob: (job, application) => {
        this.name = job
        this.#application = application
        if (application !== undefined) options.say(`${step.label}: ${job} is submitted`)
      },
      onFailedAttempt: (attempt) => {
        if (this.#application !== undefined) this.#stderr ??= this.#yarn?.stderrOf(this.#application, attempt)
      },
    })
  }

  async run(): Promise<JobResult> {
    const { signal } = this.#options
    const stop = (): void => void this.#kill()
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted === true) stop()
    const watching = this.#watch()
    try {
      const result = await this.#client.ended()
      if (signal?.aborted === true)
        throw new MillraceError('MLR_ERR_CHILD', `stopped: the job is killed, and ${this.#options.output} was not made`)
      if (result.code !== 0) throw await this.#failure(result)
      return result
    } finally {
      clearInterval(watching)
      signal?.removeEventListener('abort', stop)
    }
  }

  async #kill(): Promise<void> {
    try {
      if (this.#application !== undefined) await this.#yarn?.kill(this.#application)
    } catch (error) {
      this.#options.say(
        `${this.#application} could not be killed (${String(error)}): yarn application -kill ${this.#application}`,
      )
    }
    this.#client.kill()
  }

  /** Tells once why a job does not begin. */
  #watch(): NodeJS.Timeout {
    const began = performance.now()
    let told = false
    return setInterval(async () => {
      if (told || this.#begun || this.#application === undefined || performance.now() - began < PATIENCE_MS) return
      const why = await this.#yarn?.waitsFor(this.#application)
      if (why === undefined || told) return
      told = true
      this.#options.say(`YARN has no room for the job yet, so it waits: ${why}`)
    }, LOOK_MS)
  }

  async #failure({ said, code }: JobResult): Promise<MillraceError> {
    const task = /Task failed (task_\S+)/.exec(said.join('\n'))?.[1]
    const stderr =
      (await this.#stderr) ??
      (task === undefined || this.#application === undefined
        ? undefined
        : await this.#yarn?.stderrOfTask(this.#application, task))
    const exists = /Output directory (\S+) already exists/.exec(said.join('\n'))
    if (exists !== null)
      return new MillraceError('MLR_ERR_OUTPUT_EXISTS', `the output ${exists[1]} exists — remove it or name another`)
    const own = (stderr ?? said.join('\n')).split('\n')
    const what = `the job ${this.name || this.#step.label} has failed`
    const noNode = own
      .concat(said)
      .find((line) => /Cannot run program "[^"]*".*error=2|No such file or directory.*node/.test(line))
    if (noNode !== undefined)
      return failed(
        `${what}: a worker can't start ${this.#options.node} — submit with --node ship, which sends Node along, or name it with --node PATH`,
      )
    const told = own.filter((line) => !NOISE.test(line))
    const byTask = told.filter((line) => !BY_JAVA.test(line))
    // What the task itself has said tells more than what Java made of its end.
    const lines = (byTask.length > 0 ? byTask : told).slice(-8)
    return failed(`${what} (code ${code}):\n${[...new Set(lines)].map((line) => `  ${printable(line)}`).join('\n')}`)
  }
}

/** What Hadoop says while it works. */
const NOISE =
  /^\d{4}-\d\d-\d\d [\d:,]+ (INFO|WARN|DEBUG)|^\s+at |^log4j:|^SLF4J|^WARNING|^reporter:|^\t|^Try -help|^Streaming Command Failed|ERROR StreamJob: Job not|^\s*$/
const BY_JAVA = /^(Caused by: )?(java|org\.apache)\.|Task Id : |^Error: java/

function failed(message: string): MillraceError {
  return new MillraceError('MLR_ERR_CHILD', message)
}
