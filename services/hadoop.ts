import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from './cache.ts'
import { certificateIn, makeCertificate } from './certificate.ts'
import { DATANODE_PORTS, dataNodeConf, HADOOP_PORTS, writeHadoopConf } from './hadoop-conf.ts'
import { HDFS_PRINCIPAL, kerberosIn, startKerberos } from './kerberos.ts'
import { fetchJars } from './maven.ts'
import { type ServerProcess, startProcess } from './processes.ts'
import { JAVA, MAVEN } from './requirements.ts'

export const HADOOP_VERSION = '3.5.0'
/** 3.5.0 is not on Maven Central; this one runs on it. */
export const STREAMING_VERSION = '3.4.2'
export const HADOOP_REQUIREMENTS = [JAVA, MAVEN]

export interface HadoopOptions {
  readonly id: string
  /** Holds configuration, data and logs; made if it is not there. One folder belongs to one set of ports. */
  readonly folder: string
  /** The first of as many ports as {@link hadoopPorts} says. */
  readonly port: number
  readonly dataNodes?: number
  /** WebHDFS also over TLS. */
  readonly tls?: boolean
  /** With TLS, and these users, who must show a ticket or a token. */
  readonly kerberos?: readonly string[]
  readonly detached?: boolean
  readonly say?: (line: string) => void
}

type Daemon =
  | 'namenode'
  | `datanode-${number}`
  | 'resourcemanager'
  | 'nodemanager'
  | 'historyserver'
  | 'httpfs'
  | 'kerberos'

export function hadoopPorts(dataNodes = 1): number {
  return HADOOP_PORTS.length + DATANODE_PORTS * dataNodes
}

/** A cluster of real Apache Hadoop daemons on 127.0.0.1: HDFS, and YARN where it is asked for. */
export class HadoopCluster {
  readonly #options: HadoopOptions
  readonly #lib: string
  #prepared = false
  readonly daemons = new Map<Daemon, ServerProcess>()

  constructor(options: HadoopOptions) {
    this.#options = options
    this.#lib = join(cacheFolder(`hadoop-${HADOOP_VERSION}`), 'lib')
  }

  /** For millrace: `hdfs://host:port`, the namenode's HTTP port. */
  get url(): string {
    return `hdfs://127.0.0.1:${this.port('nameNodeHttp')}`
  }

  /** The resource manager's HTTP address. */
  get yarnUrl(): string {
    return `http://127.0.0.1:${this.port('resourceManagerHttp')}`
  }

  get conf(): string {
    return join(this.#options.folder, 'conf')
  }

  get lib(): string {
    return this.#lib
  }

  port(name: string): number {
    return this.#options.port + (HADOOP_PORTS as readonly string[]).indexOf(name)
  }

  /** What a client needs in its environment to find this cluster. */
  get environment(): Readonly<Record<string, string>> {
    return {
      MILLRACE_WEBHDFS: this.url,
      MILLRACE_YARN: this.yarnUrl,
      HADOOP_CONF_DIR: this.conf,
      MILLRACE_HADOOP_JARS: this.#lib,
    }
  }

  async startHdfs(): Promise<this> {
    const { id, folder, dataNodes = 1, kerberos: users, say } = this.#options
    if (users !== undefined) {
      const port = this.port('kerberos')
      this.daemons.set('kerberos', await startKerberos({ id, folder, port, lib: fetchHadoop(say), users, say }))
    }
    this.#prepare()
    await Promise.all([
      this.startDaemon('namenode'),
      ...Array.from({ length: dataNodes }, (_, i) => this.startDaemon(`datanode-${i + 1}`)),
    ])
    await this.untilHdfsWorks()
    return this
  }

  /** The daemons of YARN and of the job history; HDFS must have been started. */
  async startYarn(): Promise<this> {
    this.#prepare()
    const names = ['resourcemanager', 'nodemanager', 'historyserver'] as const
    await Promise.all(names.map((name) => this.startDaemon(name)))
    const manager = this.daemons.get('resourcemanager') as ServerProcess
    await manager.until(() => says(`${this.yarnUrl}/ws/v1/cluster/metrics`, /"activeNodes":1/), 90_000)
    const history = this.daemons.get('historyserver') as ServerProcess
    await history.until(
      () => says(`http://127.0.0.1:${this.port('historyHttp')}/ws/v1/history/info`, /startedOn/),
      90_000,
    )
    return this
  }

  /** A gateway that speaks WebHDFS and does the two steps itself; HDFS must have been started. Its address: `host:port`. */
  async startHttpFs(): Promise<string> {
    fetchHttpFs(this.#options.say)
    await this.startDaemon('httpfs')
    const address = `127.0.0.1:${this.port('httpFs')}`
    const url = `http://${address}/webhdfs/v1/?op=GETFILESTATUS&user.name=${userInfo().username}`
    await (this.daemons.get('httpfs') as ServerProcess).until(() => says(url, /"FileStatus"/), 60_000)
    return address
  }

  /** With TLS: what clients must trust. */
  get certificate(): string {
    return certificateIn(this.#options.folder).pem
  }

  /** As the namenode knows it: one that was killed counts for some seconds. */
  async liveDataNodes(): Promise<number> {
    const response = await fetch(this.#stateUrl)
    return Number(/"NumLiveDataNodes" : (\d+)/.exec(await response.text())?.[1])
  }

  /** Every datanode is there, and the namenode has left its safe mode. */
  async untilHdfsWorks(): Promise<void> {
    const { dataNodes = 1, kerberos } = this.#options
    const url = this.#stateUrl
    // Its pages, too, want a ticket, which a tool can show.
    const byReport = async (): Promise<boolean> => {
      const report = await this.#tool('hdfs.tools.DFSAdmin', ['-report'], HDFS_PRINCIPAL).catch(() => '')
      return !report.includes('Safe mode is ON') && report.includes(`Live datanodes (${dataNodes})`)
    }
    const byPage = async (): Promise<boolean> =>
      (await says(url, /"FSState" : "Operational"/)) && says(url, new RegExp(`"NumLiveDataNodes" : ${dataNodes}\\b`))
    await (this.daemons.get('namenode') as ServerProcess).until(kerberos === undefined ? byPage : byReport, 90_000)
  }

  /** Starts one daemon, also again with its data; it may not be ready yet. */
  async startDaemon(name: Daemon): Promise<void> {
    const { id, folder, detached = false } = this.#options
    const [kind, number] = name.split('-') as [string, string | undefined]
    const { main, heap } = DAEMONS[kind] as (typeof DAEMONS)[string]
    const log = join(folder, 'log', `${name}.log`)
    const own = number === undefined ? [] : [dataNodeConf(folder, Number(number) - 1)]
    this.daemons.set(
      name,
      startProcess({
        id: `${id}-${name}`,
        service: HDFS_DAEMONS.includes(kind) ? 'hdfs' : 'yarn',
        url: HDFS_DAEMONS.includes(kind) ? this.url : this.yarnUrl,
        log,
        command: 'java',
        args: [...(kind === 'httpfs' ? this.#httpFsJava(heap) : this.#java(heap, own)), main],
        env: this.#javaEnvironment(),
        detached,
      }),
    )
  }

  async kill(name: Daemon): Promise<void> {
    this.daemons.get(name)?.signal('SIGKILL')
    await this.daemons.get(name)?.gone(5000)
  }

  /** `hdfs dfsadmin` with these arguments. */
  async admin(...args: readonly string[]): Promise<void> {
    await this.#tool('hdfs.tools.DFSAdmin', args)
  }

  /** `hdfs dfs` with these arguments, as somebody who has a ticket. */
  async files(principal: string, ...args: readonly string[]): Promise<void> {
    await this.#tool('fs.FsShell', args, principal)
  }

  /** A delegation token of somebody who has a ticket, as WebHDFS takes it. */
  async token(user: string): Promise<string> {
    const file = join(this.#options.folder, `token-${user}`)
    await this.#tool('hdfs.tools.DelegationTokenFetcher', ['--renewer', user, file], user)
    // Four letters and a version, how many there are, the name of the first with its length; the last byte says that there are no keys.
    const bytes = readFileSync(file)
    const start = 6 + 1 + bytes.readUInt8(6)
    return bytes.subarray(start, -1).toString('base64url')
  }

  async #tool(name: string, args: readonly string[], principal?: string): Promise<string> {
    const ticket =
      principal === undefined ? {} : { KRB5PRINCIPAL: principal, KRB5KEYTAB: kerberosIn(this.#options.folder).keytab }
    const ran = await promisify(execFile)('java', [...this.#java(128), `${SERVER}.${name}`, ...args], {
      env: { ...process.env, ...this.#javaEnvironment(), ...ticket },
    })
    return ran.stdout
  }

  async stop(): Promise<void> {
    // A node manager that had a job ends slowly, and holds nothing that another start needs.
    this.daemons.get('nodemanager')?.signal('SIGKILL')
    await Promise.all([...this.daemons.values()].map((daemon) => daemon.stop()))
  }

  get #stateUrl(): string {
    return `http://127.0.0.1:${this.port('nameNodeHttp')}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState`
  }

  #prepare(): void {
    if (this.#prepared) return
    this.#prepared = true
    fetchHadoop(this.#options.say)
    const { folder, dataNodes = 1, tls = false, kerberos, say } = this.#options
    const first = this.#options.port + HADOOP_PORTS.length
    writeHadoopConf({
      folder,
      port: (name) => this.port(name),
      dataNodePorts: Array.from({ length: dataNodes }, (_, i) => first + DATANODE_PORTS * i),
      lib: this.#lib,
      certificate: tls || kerberos !== undefined ? makeCertificate(folder, say) : undefined,
      kerberos: kerberos === undefined ? undefined : kerberosIn(folder),
    })
    if (existsSync(join(folder, 'data', 'name', 'current'))) return
    const format = [DAEMONS.namenode?.main as string, '-format', '-force', '-nonInteractive']
    execFileSync('java', [...this.#java(128), ...format], {
      stdio: 'pipe',
      env: { ...process.env, ...this.#javaEnvironment() },
    })
  }

  #java(heapMb: number, before: readonly string[] = []): string[] {
    const log = join(this.#options.folder, 'log')
    const path = [...before, this.conf, join(this.#lib, '*')].join(':')
    const realm =
      this.#options.kerberos === undefined ? [] : [`-Djava.security.krb5.conf=${kerberosIn(this.#options.folder).conf}`]
    return [...HADOOP_JVM, ...realm, `-Xmx${heapMb}m`, `-Dhadoop.log.dir=${log}`, `-Dyarn.log.dir=${log}`, '-cp', path]
  }

  /** It is of another version, with jars of its own. */
  #httpFsJava(heapMb: number): string[] {
    const { folder } = this.#options
    const home = { home: folder, config: this.conf, log: join(folder, 'log'), temp: join(folder, 'tmp') }
    const folders = Object.entries(home).map(([name, path]) => `-Dhttpfs.${name}.dir=${path}`)
    const path = [this.conf, join(fetchHttpFs(this.#options.say), '*')].join(':')
    return [...HADOOP_JVM, `-Xmx${heapMb}m`, ...folders, '-cp', path]
  }

  #javaEnvironment(): NodeJS.ProcessEnv {
    return { HADOOP_CONF_DIR: this.conf, JAVA_HOME: process.env.JAVA_HOME ?? javaHome() }
  }
}

const SERVER = 'org.apache.hadoop'
const HDFS_DAEMONS = ['namenode', 'datanode', 'httpfs']
const DAEMONS: Readonly<Record<string, { readonly main: string; readonly heap: number }>> = {
  namenode: { main: `${SERVER}.hdfs.server.namenode.NameNode`, heap: 96 },
  datanode: { main: `${SERVER}.hdfs.server.datanode.DataNode`, heap: 96 },
  resourcemanager: { main: `${SERVER}.yarn.server.resourcemanager.ResourceManager`, heap: 192 },
  nodemanager: { main: `${SERVER}.yarn.server.nodemanager.NodeManager`, heap: 192 },
  httpfs: { main: `${SERVER}.fs.http.server.HttpFSServerWebServer`, heap: 96 },
  historyserver: { main: `${SERVER}.mapreduce.v2.hs.JobHistoryServer`, heap: 128 },
}

/** Hadoop reaches into Java's own packages; and of a small server the start is what takes long. */
const HADOOP_JVM = [
  '-XX:+IgnoreUnrecognizedVMOptions',
  ...['java.io', 'java.lang', 'java.lang.reflect', 'java.math', 'java.net', 'java.text', 'java.util'],
  ...['java.util.concurrent', 'java.util.zip', 'sun.security.util', 'sun.security.x509'],
]
  .map((name) => (name.startsWith('-') ? name : `--add-opens=java.base/${name}=ALL-UNNAMED`))
  .concat(['-Djava.net.preferIPv4Stack=true', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData'])

/** Hadoop's jars, once, from Maven Central. */
export function fetchHadoop(say: (line: string) => void = () => {}): string {
  const hadoop = (name: string): string => `org.apache.hadoop:hadoop-${name}:${HADOOP_VERSION}`
  return fetchJars(
    {
      name: `hadoop-${HADOOP_VERSION}`,
      what: `Apache Hadoop ${HADOOP_VERSION} (97 MB)`,
      artifacts: [
        ...['common', 'hdfs-client', 'hdfs', 'yarn-server-resourcemanager', 'yarn-server-nodemanager'].map(hadoop),
        ...['yarn-server-timelineservice', 'mapreduce-client-jobclient', 'mapreduce-client-app'].map(hadoop),
        ...['mapreduce-client-hs', 'mapreduce-client-shuffle'].map(hadoop),
        `org.apache.hadoop:hadoop-streaming:${STREAMING_VERSION}`,
      ],
      without: NOT_NEEDED,
    },
    say,
  )
}

/** The gateway's jars, once. It is not on Maven Central as 3.5.0 either, and this one works with it. */
export function fetchHttpFs(say: (line: string) => void = () => {}): string {
  const names = ['hdfs-httpfs', 'common', 'hdfs', 'hdfs-client']
  return fetchJars(
    {
      name: `httpfs-${STREAMING_VERSION}`,
      what: `Apache Hadoop HttpFS ${STREAMING_VERSION} (65 MB)`,
      artifacts: names.map((name) => `org.apache.hadoop:hadoop-${name}:${STREAMING_VERSION}`),
    },
    say,
  )
}

const NOT_NEEDED = [
  ...['mssql-jdbc', 'HikariCP', 'ehcache', 'cache-api', 'fst', 'jsonschema2pojo-core', 'codemodel', 'jsch', 'jline'],
  ...['mqtt', 'redis', 'memcache', 'haproxy', 'stomp', 'smtp', 'xml'].map((name) => `netty-codec-${name}`),
  ...['rxtx', 'udt', 'sctp', 'native-kqueue', 'native-epoll'].map((name) => `netty-transport-${name}`),
  ...['netty-resolver-dns-native-macos', 'netty-resolver-dns-classes-macos', 'netty-handler-ssl-ocsp'],
  ...['j2objc-annotations', 'jspecify', 'commons-csv'],
]

/** Where the `java` of the PATH lives: tasks are started from there. */
function javaHome(): string {
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'java'))
    .find((path) => existsSync(path))
  return found === undefined ? '' : join(realpathSync(found), '..', '..')
}

async function says(url: string, pattern: RegExp): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) })
    return pattern.test(await response.text())
  } catch {
    return false
  }
}
