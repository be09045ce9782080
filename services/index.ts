import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HADOOP_REQUIREMENTS, HadoopCluster, type HadoopOptions, hadoopPorts } from './hadoop.ts'
import { KAFKA_REQUIREMENTS, KafkaCluster, type Login } from './kafka.ts'
import { MONGO_REQUIREMENTS, MongoServer } from './mongo.ts'
import { freePorts } from './ports.ts'
import { runningServers } from './processes.ts'
import { missing, OPENSSL } from './requirements.ts'

export { HadoopCluster } from './hadoop.ts'
export { KafkaCluster } from './kafka.ts'
export { MongoServer } from './mongo.ts'

let started = 0

/** Servers of one's own, on free ports and with fresh data: for tests and demos. They stop with `stop`, or after a crash with the next start. */
export class OwnServers {
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-servers-'))
  readonly #stops: (() => Promise<void>)[] = []
  readonly #say: ((line: string) => void) | undefined

  constructor(say?: (line: string) => void) {
    this.#say = say
  }

  async kafka({ brokers = 1, logins }: { brokers?: number; logins?: readonly Login[] } = {}): Promise<KafkaCluster> {
    await runningServers()
    const id = `own-kafka-${process.pid}-${++started}`
    const ports = await freePorts(2 * brokers)
    const cluster = new KafkaCluster({
      id,
      folder: join(this.#folder, id),
      ports,
      ...(logins === undefined ? {} : { logins }),
      ...(this.#say ? { say: this.#say } : {}),
    })
    this.#stops.push(() => cluster.stop())
    return cluster.start()
  }

  async mongo(
    options: { readonly login?: { readonly user: string; readonly password: string }; readonly tls?: boolean } = {},
  ): Promise<MongoServer> {
    await runningServers()
    const id = `own-mongo-${process.pid}-${++started}`
    const [port] = (await freePorts(1)) as [number]
    const server = new MongoServer({
      id,
      folder: join(this.#folder, id),
      port,
      ...options,
      ...(this.#say ? { say: this.#say } : {}),
    })
    this.#stops.push(() => server.stop())
    return server.start()
  }

  /** HDFS, and with `yarn` also the daemons that run jobs. */
  async hadoop({
    yarn = false,
    dataNodes = 1,
    ...security
  }: { readonly yarn?: boolean; readonly dataNodes?: number } & Pick<
    HadoopOptions,
    'tls' | 'kerberos'
  > = {}): Promise<HadoopCluster> {
    await runningServers()
    const id = `own-hadoop-${process.pid}-${++started}`
    const [port] = (await freePorts(hadoopPorts(dataNodes))) as [number]
    const cluster = new HadoopCluster({
      id,
      folder: join(this.#folder, id),
      port,
      dataNodes,
      ...security,
      ...(this.#say ? { say: this.#say } : {}),
    })
    this.#stops.push(() => cluster.stop())
    await Promise.all([cluster.startHdfs(), ...(yarn ? [cluster.startYarn()] : [])])
    return cluster
  }

  /** Servers for who needs only their addresses: those that the environment names take the place of what would be started. */
  async addresses({ hadoop = false } = {}): Promise<Addresses> {
    const { MILLRACE_KAFKA, MILLRACE_MONGO, MILLRACE_WEBHDFS, MILLRACE_YARN } = process.env
    const hadoopIsGiven = MILLRACE_WEBHDFS !== undefined && MILLRACE_YARN !== undefined
    const [kafka, mongo, cluster] = await Promise.all([
      MILLRACE_KAFKA ?? this.kafka().then(({ url }) => url),
      MILLRACE_MONGO ?? this.mongo().then(({ url }) => url),
      hadoop && !hadoopIsGiven ? this.hadoop({ yarn: true }) : undefined,
    ])
    return {
      kafka,
      mongo,
      hadoop: cluster?.environment ?? {},
      foreign: [
        ...(MILLRACE_KAFKA === undefined ? [] : ['Kafka']),
        ...(MILLRACE_MONGO === undefined ? [] : ['MongoDB']),
        ...(hadoop && hadoopIsGiven ? ['HDFS', 'YARN'] : []),
      ],
    }
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#stops.map((stop) => stop()))
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

export interface Addresses {
  readonly kafka: string
  readonly mongo: string
  /** What a client needs in its environment to find HDFS and YARN, beside what is there. */
  readonly hadoop: Readonly<Record<string, string>>
  /** Which of them are not our own. */
  readonly foreign: readonly string[]
}

/** Why the servers can't be had on this machine, or undefined where they can, perhaps after an installation. */
export function whyNoServers(): string | undefined {
  const lacking = missing([...KAFKA_REQUIREMENTS, ...MONGO_REQUIREMENTS, ...HADOOP_REQUIREMENTS, OPENSSL])
  return process.getuid?.() === 0 ? undefined : lacking
}
