import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, realpathSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import split2 from 'split2'
import { MillraceError } from '../core/errors.ts'

/** How a Java program of Hadoop is started on this machine. */
export interface HadoopClient {
  /** For people. */
  readonly label: string
  readonly command: string
  /** What stands before the arguments of the streaming job; it logs as a file says, where it can be told to. */
  readonly streaming: (logging: string) => readonly string[]
  readonly env: NodeJS.ProcessEnv
}

const STREAMING_CLASS = 'org.apache.hadoop.streaming.HadoopStreaming'
/** Hadoop reaches into Java's own packages. */
const OPENED = [
  ...['java.io', 'java.lang', 'java.lang.reflect', 'java.math', 'java.net', 'java.text', 'java.util'],
  ...['java.util.concurrent', 'java.util.zip', 'sun.security.util', 'sun.security.x509'],
]

/** The launcher `hadoop` with its streaming jar, else `java` with a folder of Hadoop's jars; else an error that says what to give. */
export function findHadoop(env: NodeJS.ProcessEnv = process.env): HadoopClient {
  const jars = env.MILLRACE_HADOOP_JARS
  const launcher = env.HADOOP_HOME === undefined ? onPath('hadoop', env) : join(env.HADOOP_HOME, 'bin', 'hadoop')
  if (jars === undefined && launcher !== undefined && existsSync(launcher)) {
    const jar = env.MILLRACE_STREAMING_JAR ?? streamingJar(join(realpathSync(launcher), '..', '..'))
    if (jar !== undefined)
      return {
        label: launcher,
        command: launcher,
        streaming: () => ['jar', jar],
        // Else a site's own setting could keep from us what the job is called and what it has counted.
        env: { ...env, HADOOP_ROOT_LOGGER: 'INFO,console' },
      }
    throw new MillraceError(
      'MLR_ERR_USAGE',
      `${launcher} is there, and no hadoop-streaming-*.jar in its share/hadoop/tools/lib: name it in MILLRACE_STREAMING_JAR`,
    )
  }
  const java = env.JAVA_HOME === undefined ? onPath('java', env) : join(env.JAVA_HOME, 'bin', 'java')
  if (jars === undefined || java === undefined || env.HADOOP_CONF_DIR === undefined)
    throw new MillraceError(
      'MLR_ERR_USAGE',
      'there is no Hadoop to submit with: put the hadoop launcher on the PATH (or name HADOOP_HOME), or give java, MILLRACE_HADOOP_JARS (a folder of its jars) and HADOOP_CONF_DIR',
    )
  const path = [env.HADOOP_CONF_DIR, ...jars.split(delimiter).map((folder) => join(folder, '*'))].join(delimiter)
  const opened = OPENED.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`)
  const quick = ['-XX:+IgnoreUnrecognizedVMOptions', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xmx512m']
  return {
    label: `java with ${jars}`,
    command: java,
    streaming: (logging) => {
      const properties = ['-Djava.net.preferIPv4Stack=true', `-Dlog4j.configuration=file:${logging}`]
      return [...quick, ...opened, ...properties, '-cp', path, STREAMING_CLASS]
    },
    env: { ...env, JAVA_HOME: env.JAVA_HOME ?? join(realpathSync(java), '..', '..') },
  }
}

/** What a job tells while it runs and at its end. */
export interface JobEvents {
  /** Percent. */
  readonly onProgress?: (map: number, reduce: number) => void
  readonly onJob?: (job: string, application: string | undefined, tracking: string | undefined) => void
  readonly onFailedAttempt?: (attempt: string) => void
}

export interface JobResult {
  readonly code: number
  /** By group and name. */
  readonly counters: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** The end of what the client said. */
  readonly said: readonly string[]
  /** Lines of the tasks' own standard error, which the local runner mixes in. */
  readonly skipped: readonly string[]
}

const KEPT_LINES = 200
/** The job's name, its progress and its counters come as lines of its client's log. */
const LOGGING = `log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
`

/** A streaming job's client: one Java program, whose standard error is read. */
export class StreamingClient {
  readonly #child: ChildProcess
  readonly #events: JobEvents
  readonly #said: string[] = []
  readonly #skipped: string[] = []
  #counters = new Map<string, Map<string, number>>()
  #group: Map<string, number> | undefined
  #tracking: string | undefined

  constructor(client: HadoopClient, args: readonly string[], cwd: string, events: JobEvents = {}) {
    this.#events = events
    const logging = join(dirname(cwd), 'log4j.properties')
    writeFileSync(logging, LOGGING)
    this.#child = spawn(client.command, [...client.streaming(logging), ...args], {
      cwd,
      env: client.env,
      stdio: ['ignore', 'ignore', 'pipe'],
      // A Ctrl-C on the terminal is ours: the job is killed before its client.
      detached: true,
    })
    this.#child.stderr?.pipe(split2()).on('data', (line: string) => this.#line(line))
  }

  async ended(): Promise<JobResult> {
    const [code] = (await once(this.#child, 'close')) as [number | null]
    return { code: code ?? 1, counters: this.#counters, said: this.#said, skipped: this.#skipped }
  }

  kill(): void {
    this.#child.kill('SIGTERM')
  }

  #line(line: string): void {
    // A stack of Java would push out what the task itself has said.
    if (/^\s+(at |\.\.\. \d+ more)/.test(line)) return
    this.#said.push(line)
    if (this.#said.length > KEPT_LINES) this.#said.shift()
    const progress = /map (\d+)% reduce (\d+)%/.exec(line)
    if (progress !== null) this.#events.onProgress?.(Number(progress[1]), Number(progress[2]))
    const tracking = /The url to track the job: (\S+)/.exec(line)
    if (tracking !== null) this.#tracking = tracking[1]
    const job = /Running job: (job_\S+)/.exec(line)
    if (job !== null) {
      const id = job[1] as string
      const application = id.startsWith('job_local') ? undefined : id.replace(/^job_/, 'application_')
      this.#events.onJob?.(id, application, this.#tracking)
    }
    const failed = /Task Id : (attempt_\S+), Status : FAILED/.exec(line)
    if (failed !== null) this.#events.onFailedAttempt?.(failed[1] as string)
    if (line.startsWith('skipped ') && this.#skipped.length < 3) this.#skipped.push(line)
    this.#counter(line)
  }

  /** `Counters: 54`, then TAB group, TAB TAB name=value. The last block is the job's. */
  #counter(line: string): void {
    if (/Counters: \d+$/.test(line)) {
      this.#counters = new Map()
      this.#group = undefined
      return
    }
    const counter = /^\t\t(.+)=(-?\d+)$/.exec(line)
    if (counter !== null) {
      this.#group?.set(counter[1] as string, Number(counter[2]))
      return
    }
    const group = /^\t(\S.*)$/.exec(line)
    if (group === null) return
    this.#group = new Map()
    this.#counters.set(group[1] as string, this.#group)
  }
}

function streamingJar(home: string): string | undefined {
  for (const folder of [join(home, 'share', 'hadoop', 'tools', 'lib'), join(home, 'share', 'hadoop', 'tools')]) {
    if (!existsSync(folder)) continue
    const jar = readdirSync(folder).find(
      (name) => /^hadoop-streaming-[\d.]+.*\.jar$/.test(name) && !/sources|test/.test(name),
    )
    if (jar !== undefined) return join(folder, jar)
  }
  return undefined
}

function onPath(program: string, env: NodeJS.ProcessEnv): string | undefined {
  return (env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path))
}
