import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename, dirname, resolve } from 'node:path'
import { hadoopUser } from '../connections/hadoop-user.ts'
import type { HdfsConnection } from '../connections/hdfs.ts'
import { MillraceError } from '../core/errors.ts'
import { hdfsParts, sinkOfUrl } from '../end-urls.ts'
import { hdfsConnection, hdfsFiles } from '../ends.ts'
import { findHadoop } from '../hadoop/hadoop-client.ts'
import { isLocal, JobFiles, localUrl } from '../hadoop/job-files.ts'
import { type SubmitOptions, type SubmitReport, submit } from '../hadoop/submit.ts'
import { Yarn } from '../hadoop/yarn.ts'
import { drawBar, duration, number } from '../observe/progress.ts'
import type { Pipeline } from '../plan/pipeline.ts'
import { cutsOf, type Plan, type PlannedFlow, sourcesOf } from '../plan/plan.ts'
import { withEnds } from '../plan/with-ends.ts'
import type { Sink } from '../sinks/sink.ts'
import { byName, FORMAT_OPTIONS, formatName, parseOptions, wholeNumber } from './arguments.ts'
import { inputsOf } from './batch-command.ts'
import { chooseFlow } from './choose-flow.ts'
import type { Invocation } from './context.ts'
import { stopOnSignals } from './signals.ts'

/** `hadoop`: the MapReduce job on a cluster. */
export async function hadoopCommand(
  { plan: declared }: Pipeline,
  argv: readonly string[],
  invocation: Invocation,
): Promise<void> {
  const values = parseOptions(
    argv,
    {
      input: { type: 'string', multiple: true },
      output: { type: 'string' },
      reducers: { type: 'string' },
      flow: { type: 'string' },
      node: { type: 'string' },
      local: { type: 'boolean' },
      checkpoint: { type: 'string' },
      to: { type: 'string', multiple: true },
      fresh: { type: 'boolean' },
      D: { type: 'string', short: 'D', multiple: true },
      quiet: { type: 'boolean' },
      ...FORMAT_OPTIONS,
    },
    'hadoop',
  )
  const { checkpoint } = values
  if (values.to !== undefined && checkpoint === undefined)
    throw new MillraceError('MLR_ERR_USAGE', 'hadoop: --to is for --checkpoint; a job writes to --output')
  const plan = withEnds(declared, { sources: new Map(), sinks: sinksOf(declared, values.to ?? []) })
  const flow = checkpoint === undefined ? chooseFlow(plan, values.flow) : (plan.flows[0] as PlannedFlow)
  const quiet = values.quiet === true
  const local = values.local === true
  const say = (line: string): void => {
    if (!quiet) process.stderr.write(`${process.stderr.isTTY === true ? '\r\u001b[K' : ''}${line}\n`)
  }
  if ((values.output === undefined) === (checkpoint === undefined))
    throw new MillraceError('MLR_ERR_USAGE', 'hadoop needs --output FOLDER, or --checkpoint URL; see hadoop --help')
  const format = formatName(values.format)
  const paths = new HadoopPaths(local)
  const inputs = new Map(
    [
      ...inputsOf(
        'hadoop',
        values.input ?? [],
        sourcesOf(plan, flow).map(({ name }) => name),
      ),
    ].map(([name, path]) => [name, path.split(',').map((one) => paths.path(one))] as const),
  )
  const output = values.output === undefined ? undefined : paths.path(values.output)
  const files = new JobFiles(() => paths.connection(say), hdfsFiles)
  const client = findHadoop()
  const yarn = local ? undefined : Yarn.find()
  if (!local && yarn === undefined)
    throw new MillraceError(
      'MLR_ERR_USAGE',
      'where is YARN? Name its resource manager in MILLRACE_YARN (http://HOST:8088) or HADOOP_CONF_DIR, or run the job with --local',
    )
  await yarn?.check()
  for (const path of [...inputs.values()].flat()) await files.checkInput(path)
  if (output !== undefined) await files.refuseExisting(output)
  const stop = stopOnSignals(() => {}, 'killing the job')
  const started = performance.now()
  try {
    const ships = values.node === 'ship'
    const job: Omit<SubmitOptions, 'flow' | 'inputs' | 'output'> = {
      plan,
      module: resolve(invocation.module),
      client,
      yarn,
      files,
      reducers: cutsOf(plan, flow).length === 0 ? 0 : (wholeNumber('--reducers', values.reducers, 1) ?? 1),
      properties: [...paths.properties, ...(values.D ?? [])],
      node: ships ? `./node/bin/node` : (values.node ?? (local ? process.execPath : 'node')),
      archives: ships ? [`${await shipNode(await paths.connection(say), say)}#node`] : [],
      roleOptions: [
        ...(format === undefined ? [] : ['--format', format]),
        ...(values.columns === undefined ? [] : ['--columns', values.columns]),
      ],
      signal: stop.signal,
      say,
      ...(quiet || process.stderr.isTTY !== true
        ? {}
        : {
            onProgress: ({ step, steps, map, reduce }) => {
              const share = (step - 1 + (map + reduce) / 200) / steps
              process.stderr.write(
                `\r\u001b[K${drawBar(share)}  step ${step} of ${steps}: map ${map} %, reduce ${reduce} %`,
              )
            },
          }),
    }
    if (output === undefined) {
      const [folder, ...others] = [...inputs.values()].flat()
      if (folder === undefined || others.length > 0 || isLocal(folder))
        throw new MillraceError(
          'MLR_ERR_USAGE',
          'hadoop --checkpoint: --input is one folder of HDFS, that of an archive',
        )
      const connection = await paths.connection(say)
      const fresh = values.fresh === true
      const { historyCommand } = await import('./history.ts')
      await historyCommand({ plan, connection, folder, checkpoint: checkpoint as string, fresh, job })
      return
    }
    const report = await submit({ ...job, flow, inputs, output })
    for (const line of describe(report, output, (performance.now() - started) / 1000)) say(line)
  } finally {
    stop.release()
  }
}

function sinksOf(plan: Plan, to: readonly string[]): ReadonlyMap<string, Sink<unknown>> {
  const names = plan.flows.map(({ name }) => name)
  return new Map([...byName('--to', to, names)].map(([name, url]) => [name, sinkOfUrl(url)]))
}

/** Paths as the user gives them → as Hadoop takes them; all of one HDFS. */
class HadoopPaths {
  readonly #local: boolean
  #options: Parameters<typeof hdfsConnection>[0] = {}
  #connection: Promise<HdfsConnection> | undefined
  #inHdfs = false

  constructor(local: boolean) {
    this.#local = local
  }

  path(text: string): string {
    if (isLocal(text)) {
      if (this.#local) return localUrl(text)
      throw new MillraceError(
        'MLR_ERR_USAGE',
        `${text}: the workers of a cluster don't see this machine's files; use --local`,
      )
    }
    this.#inHdfs = true
    if (text.startsWith('hdfs:')) {
      const { path, options } = hdfsParts(text)
      if (Object.keys(options).length > 0) this.#options = options
      return path
    }
    if (text.startsWith('/')) return text
    throw new MillraceError(
      'MLR_ERR_USAGE',
      `${text}: a path here is one of HDFS, /clicks or hdfs://NAMENODE:9870/clicks${this.#local ? ', or file:PATH for one of this machine' : ''}`,
    )
  }

  /** Without a path in HDFS none is needed. */
  get properties(): readonly string[] {
    return this.#inHdfs ? [] : ['fs.defaultFS=file:///']
  }

  connection(say: (line: string) => void): Promise<HdfsConnection> {
    this.#connection ??= hdfsConnection(this.#options, say)
    return this.#connection
  }
}

/** This very Node as an archive in HDFS, put there once. Workers keep it, too. */
async function shipNode(connection: HdfsConnection, say: (line: string) => void): Promise<string> {
  const name = `node-${process.version}-${process.platform}-${process.arch}.tgz`
  const path = `/user/${hadoopUser()}/.millrace/${name}`
  if ((await connection.stat(path)) === undefined) {
    say(`shipping ${name} to HDFS, once …`)
    await connection.makeFolder(dirname(path))
    const folder = dirname(dirname(process.execPath))
    const binary = `${basename(dirname(process.execPath))}/${basename(process.execPath)}`
    const tar = spawn('tar', ['-C', folder, '-cf', '-', '--use-compress-program=gzip -1', binary], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(tar, 'close')
    const temporary = `${path}.${process.pid}.tmp`
    await connection.createFrom(temporary, tar.stdout)
    const [code] = (await ended) as [number]
    if (code !== 0) throw new MillraceError('MLR_ERR_CHILD', `tar ended with code ${code}: Node could not be packed`)
    await connection.rename(temporary, path, 'replace')
  }
  return `hdfs://${path}`
}

function describe(report: SubmitReport, output: string, seconds: number): string[] {
  const { read, skipped, written, parts, firstSkipped } = report
  const lines = [
    `read ${number(read)} records, skipped ${number(skipped)}, wrote ${number(written)} in ${parts} parts to ${output}, in ${duration(seconds)}`,
  ]
  if (firstSkipped.length > 0)
    lines.push('the first:', ...firstSkipped.map((line) => `  ${line.replace(/^skipped /, '')}`))
  return lines
}
