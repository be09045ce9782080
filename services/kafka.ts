import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './cache.ts'
import { certificateIn, makeCertificate } from './certificate.ts'
import { fetchJars } from './maven.ts'
import { type ServerProcess, startProcess } from './processes.ts'
import { JAVA, MAVEN } from './requirements.ts'

export const KAFKA_VERSION = '4.3.1'
export const KAFKA_REQUIREMENTS = [JAVA, MAVEN]
/** Any: it only must be the same in all brokers of a cluster. */
const CLUSTER_ID = 'bWlsbHJhY2UtdGVzdHMtMQ'

export interface KafkaOptions {
  readonly id: string
  /** Holds the data; made if it is not there. */
  readonly folder: string
  /** Two for each broker: clients, controller. */
  readonly ports: readonly number[]
  /** Clients must use TLS and log in (PLAIN, SCRAM-SHA-256, OAUTHBEARER); the first of these users may all, the others nothing. One broker only. */
  readonly logins?: readonly Login[]
  readonly detached?: boolean
  readonly say?: (line: string) => void
}

export interface Login {
  readonly user: string
  readonly password: string
}

/** A cluster of real Apache Kafka brokers on 127.0.0.1, each broker and controller in one; three of them replicate. */
export class KafkaCluster {
  readonly #options: KafkaOptions
  readonly brokers: (ServerProcess | undefined)[] = []

  constructor(options: KafkaOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#options.ports.length / 2
  }

  /** What clients connect to: `host:port,…`. */
  get url(): string {
    return Array.from({ length: this.size }, (_, i) => `127.0.0.1:${this.#options.ports[2 * i]}`).join(',')
  }

  /** With logins: the file of the certificate that clients must trust. */
  get certificate(): string {
    return certificateIn(this.#options.folder).pem
  }

  async start(): Promise<this> {
    fetchKafka(this.#options.say)
    for (let i = 0; i < this.size; i++) this.#spawn(i)
    await Promise.all(this.brokers.map((_, i) => this.#ready(i)))
    return this
  }

  /** Starts one broker again, with its data. */
  async startBroker(index: number): Promise<void> {
    this.#spawn(index)
    await this.#ready(index)
  }

  async killBroker(index: number): Promise<void> {
    this.brokers[index]?.signal('SIGKILL')
    await this.brokers[index]?.gone(5000)
  }

  async stop(): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker?.stop()))
  }

  #spawn(index: number): void {
    const { id, detached = false } = this.#options
    const folder = join(this.#options.folder, `broker-${index + 1}`)
    const kafka = cacheFolder(`kafka-${KAFKA_VERSION}`)
    mkdirSync(folder, { recursive: true })
    if (this.#options.logins !== undefined) makeCertificate(this.#options.folder, this.#options.say)
    const properties = join(folder, 'server.properties')
    writeFileSync(properties, this.#properties(index, join(folder, 'data')))
    writeFileSync(join(folder, 'log4j2.properties'), LOGGING)
    if (!existsSync(join(folder, 'data', 'meta.properties'))) this.#format(folder, properties)
    const log = join(folder, 'broker.log')
    writeFileSync(log, '')
    this.brokers[index] = startProcess({
      id: `${id}-${index + 1}`,
      service: 'kafka',
      url: this.url,
      log,
      command: 'java',
      args: [
        `-Xmx${this.size === 1 ? 384 : 256}m`,
        '-XX:+UseSerialGC',
        `-Dkafka.logs.dir=${folder}`,
        `-Dlog4j2.configurationFile=${join(folder, 'log4j2.properties')}`,
        '-cp',
        join(kafka, 'lib', '*'),
        'kafka.Kafka',
        properties,
      ],
      detached,
    })
  }

  #ready(index: number): Promise<void> {
    const broker = this.brokers[index] as ServerProcess
    return broker.until(() => readFileSync(broker.record.log, 'utf8').includes('Kafka Server started'), 60_000)
  }

  /** One broker's formatted folder holds no path and no port, so it is made once and copied. */
  #format(folder: string, properties: string): void {
    const made = cacheFolder(`kafka-${KAFKA_VERSION}`, 'formatted')
    const { logins = [] } = this.#options
    const plain = this.size === 1 && logins.length === 0
    if (plain && existsSync(made)) {
      cpSync(made, join(folder, 'data'), { recursive: true })
      return
    }
    const lib = join(cacheFolder(`kafka-${KAFKA_VERSION}`), 'lib', '*')
    const tool = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', lib, 'kafka.tools.StorageTool']
    const users = logins.flatMap(({ user, password }) => ['-S', `SCRAM-SHA-256=[name=${user},password=${password}]`])
    execFileSync('java', [...tool, 'format', '-t', CLUSTER_ID, '-c', properties, ...users], { stdio: 'pipe' })
    if (plain) cpSync(join(folder, 'data'), made, { recursive: true })
  }

  #security(): readonly string[] {
    const { logins } = this.#options
    if (logins === undefined) return []
    const [first] = logins as [Login]
    const { keystore, password } = certificateIn(this.#options.folder)
    const users = logins.map(({ user, password }) => `user_${user}="${password}"`).join(' ')
    const jaas = (mechanism: string, module: string, options: string): string =>
      `listener.name.plaintext.${mechanism}.sasl.jaas.config=org.apache.kafka.common.security.${module} required ${options};`
    return [
      'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,OAUTHBEARER',
      'sasl.mechanism.inter.broker.protocol=PLAIN',
      jaas('plain', 'plain.PlainLoginModule', `username="${first.user}" password="${first.password}" ${users}`),
      jaas('scram-sha-256', 'scram.ScramLoginModule', ''),
      jaas('oauthbearer', 'oauthbearer.OAuthBearerLoginModule', `unsecuredLoginStringClaim_sub="${first.user}"`),
      `ssl.keystore.location=${keystore}`,
      `ssl.keystore.password=${password}`,
      'ssl.keystore.type=PKCS12',
      `ssl.truststore.location=${keystore}`,
      `ssl.truststore.password=${password}`,
      'ssl.truststore.type=PKCS12',
      'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      `super.users=User:${first.user};User:ANONYMOUS`,
    ]
  }

  #properties(index: number, data: string): string {
    const { ports } = this.#options
    const all = Array.from({ length: this.size }, (_, i) => i)
    const copies = Math.min(3, this.size)
    const inSync = Math.max(1, copies - 1)
    const internal = ['offsets.topic', 'transaction.state.log', 'share.coordinator.state.topic'].flatMap((name) => [
      `${name}.num.partitions=1`,
      `${name}.replication.factor=${copies}`,
    ])
    return `${[
      'process.roles=broker,controller',
      `node.id=${index + 1}`,
      `listeners=PLAINTEXT://127.0.0.1:${ports[2 * index]},CONTROLLER://127.0.0.1:${ports[2 * index + 1]}`,
      `advertised.listeners=PLAINTEXT://127.0.0.1:${ports[2 * index]}`,
      'controller.listener.names=CONTROLLER',
      'inter.broker.listener.name=PLAINTEXT',
      `listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:${this.#options.logins === undefined ? 'PLAINTEXT' : 'SASL_SSL'}`,
      ...this.#security(),
      `controller.quorum.voters=${all.map((i) => `${i + 1}@127.0.0.1:${ports[2 * i + 1]}`).join(',')}`,
      `log.dirs=${data}`,
      'auto.create.topics.enable=false',
      'num.partitions=1',
      `default.replication.factor=${copies}`,
      `min.insync.replicas=${inSync}`,
      ...internal,
      `transaction.state.log.min.isr=${inSync}`,
      `share.coordinator.state.topic.min.isr=${inSync}`,
      'group.initial.rebalance.delay.ms=0',
      'group.min.session.timeout.ms=500',
      // The cleaner would take 128 MiB.
      'log.cleaner.dedupe.buffer.size=2097152',
      'log.retention.check.interval.ms=1000',
      'num.network.threads=2',
      'num.io.threads=2',
      'num.recovery.threads.per.data.dir=1',
      // A broker that was killed waits so long for its own dead incarnation.
      'broker.session.timeout.ms=3000',
      'broker.heartbeat.interval.ms=500',
    ].join('\n')}\n`
  }
}

const LOGGING = `status = warn
name = broker
appender.c.type = Console
appender.c.name = C
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.c.ref = C
logger.k.name = kafka.server.KafkaRaftServer
logger.k.level = info
`

/** The broker's jars, once, from Maven Central. */
export function fetchKafka(say: (line: string) => void = () => {}): void {
  fetchJars(
    {
      name: `kafka-${KAFKA_VERSION}`,
      what: `Apache Kafka ${KAFKA_VERSION} (44 MB)`,
      artifacts: [`org.apache.kafka:kafka_2.13:${KAFKA_VERSION}`, 'org.apache.logging.log4j:log4j-slf4j-impl:2.25.4'],
    },
    say,
  )
}
