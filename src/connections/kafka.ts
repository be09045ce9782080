import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin, ITopicConfig, Kafka as KafkaClient, KafkaConfig, SASLOptions } from 'kafkajs'
import { MillraceError, reasonOf } from '../core/errors.ts'
import { kafkajs } from './kafkajs.ts'
import { secret } from './secrets.ts'

const { Kafka, logLevel } = kafkajs
/** How long a start waits for a cluster that does not answer, before it says so; and for one that has answered before. */
const [PATIENCE_MS, LONG_PATIENCE_MS] = [5000, 60_000]
/** The brokers learn of a new topic one after the other, and any may be asked next. */
const TOPIC_KNOWN_TIMES = 3
const require = createRequire(import.meta.url)

export interface KafkaConnectionOptions {
  /** `host:port`, one or more. Default: the environment's MILLRACE_KAFKA, else 127.0.0.1:9092. */
  readonly brokers?: readonly string[] | undefined
  /** TLS; an object is given to `node:tls`. */
  readonly ssl?: KafkaConfig['ssl'] | undefined
  /** 'plain', 'scram-sha-256', 'scram-sha-512' with a user; the password may come from MILLRACE_KAFKA_PASSWORD or its _FILE. */
  readonly sasl?:
    | {
        readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
        readonly username: string
        readonly password?: string
      }
    | { readonly mechanism: 'oauthbearer'; readonly oauthBearerProvider: () => Promise<{ value: string }> }
    | undefined
  /** How the broker's logs and tools name this client. */
  readonly clientId?: string | undefined
}

/** What is known of a topic. */
export interface TopicFacts {
  /** New for each topic that is made, also under an old name. */
  readonly id: string
  readonly partitions: readonly number[]
}

export interface OffsetRange {
  /** The first record that is still there, and where the next one will be. */
  readonly low: number
  readonly high: number
}

/** The brokers that a connection goes to, for people. */
export function brokersOf({ brokers }: Pick<KafkaConnectionOptions, 'brokers'>): readonly string[] {
  return (brokers ?? [process.env.MILLRACE_KAFKA ?? '127.0.0.1:9092']).flatMap((text) => text.split(','))
}

/** A Kafka cluster, as one process sees it: a kafkajs client with its traps closed, and what kafkajs does not know. */
export class KafkaConnection {
  readonly label: string
  readonly client: KafkaClient
  #admin: Promise<Admin> | undefined
  #cluster: Promise<InternalCluster> | undefined
  #answered = false
  #closed = false

  constructor(options: KafkaConnectionOptions) {
    const brokers = brokersOf(options)
    this.label = brokers.join(',')
    const sasl = saslOf(options.sasl)
    this.client = new Kafka({
      brokers: [...brokers],
      clientId: options.clientId ?? 'millrace',
      ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
      ...(sasl === undefined ? {} : { sasl }),
      // By default it logs to stdout, where only data may go.
      logLevel: logLevel.NOTHING,
      logCreator: () => () => {},
      connectionTimeout: 3000,
      retry: { initialRetryTime: 200, maxRetryTime: 2000, retries: 4 },
    })
  }

  async admin(): Promise<Admin> {
    return this.#guard(() => {
      this.#admin ??= (async () => {
        const admin = this.client.admin()
        await admin.connect()
        return admin
      })()
      return this.#admin
    })
  }

  /** Facts of a topic, or undefined where there is none. */
  topic(name: string): Promise<TopicFacts | undefined> {
    return this.#guard(async () => {
      const cluster = await this.#internalCluster()
      // Any broker knows; the controller may be the dead one.
      const broker = await cluster.findControllerBroker().catch(() => cluster.brokerPool.seedBroker)
      return broker.connectionPool.send(topicRequest(name))
    })
  }

  /** Makes a topic, and waits until the cluster knows it: the broker that is asked next may not yet. */
  async createTopic(topic: string, options: Omit<ITopicConfig, 'topic'> = {}): Promise<void> {
    await this.#guard(async () =>
      (await this.admin()).createTopics({ waitForLeaders: false, topics: [{ topic, ...options }] }),
    )
    const began = Date.now()
    for (let known = 0; known < TOPIC_KNOWN_TIMES; ) {
      if (Date.now() - began > LONG_PATIENCE_MS)
        throw new MillraceError(
          'MLR_ERR_INPUT_MISSING',
          `Kafka at ${this.label} does not show the topic '${topic}' that was made`,
        )
      known = (await this.topic(topic)) === undefined ? 0 : known + 1
      await sleep(50)
    }
  }

  /** By partition. */
  offsets(topic: string): Promise<ReadonlyMap<number, OffsetRange>> {
    return this.#guard(async () => {
      const found = await (await this.admin()).fetchTopicOffsets(topic)
      return new Map(found.map(({ partition, low, high }) => [partition, { low: Number(low), high: Number(high) }]))
    })
  }

  /** By partition: the first record at or after a time; where there is none, the end. */
  offsetsAt(topic: string, timestamp: number): Promise<ReadonlyMap<number, number>> {
    return this.#guard(async () => {
      const found = await (await this.admin()).fetchTopicOffsetsByTimestamp(topic, timestamp)
      return new Map(found.map(({ partition, offset }) => [partition, Number(offset)]))
    })
  }

  /** Puts members out of a group that are known to be dead: else the group waits for them until their session is over. */
  async removeDeadMembers(group: string, isDead: (clientId: string) => boolean): Promise<void> {
    await this.#guard(async () => {
      const described = await (await this.admin()).describeGroups([group])
      const dead = (described.groups[0]?.members ?? []).filter(({ clientId }) => isDead(clientId))
      if (dead.length === 0) return
      const cluster = await this.#internalCluster()
      const coordinator = await cluster.findGroupCoordinator({ groupId: group })
      for (const { memberId } of dead) await coordinator.leaveGroup({ groupId: group, memberId }).catch(() => {})
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await (await this.#admin?.catch(() => undefined))?.disconnect().catch(() => {})
    await (await this.#cluster?.catch(() => undefined))?.disconnect().catch(() => {})
  }

  async #internalCluster(): Promise<InternalCluster> {
    this.#cluster ??= (async () => {
      const client = this.client as unknown as Record<symbol, (options: object) => InternalCluster>
      const create = Object.getOwnPropertySymbols(this.client).find(
        ({ description }) => description === 'private:Kafka:createCluster',
      ) as symbol
      const cluster = (client[create] as (options: object) => InternalCluster)({ metadataMaxAge: 10_000 })
      await cluster.connect()
      await cluster.refreshMetadata()
      return cluster
    })()
    return this.#cluster
  }

  /** One broker of several may be dead, and leadership on the move: tried again for some seconds, with new connections. */
  async #guard<T>(run: () => Promise<T>): Promise<T> {
    for (const began = Date.now(); ; ) {
      try {
        const result = await run()
        this.#answered = true
        return result
      } catch (error) {
        const told = kafkaError(error, this.label)
        const patience = this.#answered ? LONG_PATIENCE_MS : PATIENCE_MS
        if (told.code !== 'MLR_ERR_SERVER_UNREACHABLE' || this.#closed || Date.now() - began > patience) throw told
        const [admin, cluster] = [this.#admin, this.#cluster]
        this.#admin = undefined
        this.#cluster = undefined
        await (await admin?.catch(() => undefined))?.disconnect().catch(() => {})
        await (await cluster?.catch(() => undefined))?.disconnect().catch(() => {})
        await sleep(200)
        // Else it would connect again, and nobody would close that.
        if (this.#closed) throw told
      }
    }
  }
}

/** What went wrong with a cluster, in our terms: what and where and what to do. */
export function kafkaError(error: unknown, where: string): MillraceError {
  if (error instanceof MillraceError) return error
  const { type = '', name = '', cause } = error as { type?: string; name?: string; cause?: unknown }
  const deepest = cause instanceof Error ? cause : error
  const reason = reasonOf(deepest)
  if (name === 'KafkaJSSASLAuthenticationError' || /SASL|credentials/i.test(reason)) {
    return new MillraceError(
      'MLR_ERR_SERVER_LOGIN',
      `Kafka at ${where} refuses the login: ${reason} — check user, password and mechanism`,
      { cause: error },
    )
  }
  const deepType = (deepest as { type?: string }).type ?? type
  if (deepType.endsWith('AUTHORIZATION_FAILED')) {
    return new MillraceError('MLR_ERR_SERVER_LOGIN', `Kafka at ${where}: not authorised: ${reason}`, { cause: error })
  }
  if (deepType === 'UNKNOWN_TOPIC_OR_PARTITION')
    return new MillraceError('MLR_ERR_INPUT_MISSING', `Kafka at ${where}: ${reason}`, { cause: error })
  if (!name.startsWith('KafkaJS') && (error as { code?: unknown }).code === undefined)
    return new MillraceError('MLR_ERR_INPUT_READ', `Kafka at ${where}: ${reason}`, { cause: error })
  return new MillraceError(
    'MLR_ERR_SERVER_UNREACHABLE',
    `no Kafka broker answers at ${where}: ${reason} — is it running, are host and port right?`,
    { cause: error },
  )
}

function saslOf(sasl: KafkaConnectionOptions['sasl']): SASLOptions | undefined {
  if (sasl === undefined) return undefined
  if (sasl.mechanism === 'oauthbearer') return sasl as SASLOptions
  const password = secret(sasl.password, 'MILLRACE_KAFKA_PASSWORD')
  if (password === undefined) {
    throw new MillraceError(
      'MLR_ERR_SERVER_LOGIN',
      `Kafka: the login of ${sasl.username} needs a password: set MILLRACE_KAFKA_PASSWORD, or MILLRACE_KAFKA_PASSWORD_FILE`,
    )
  }
  return { ...sasl, password } as SASLOptions
}

interface InternalCluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  refreshMetadata(): Promise<void>
  findControllerBroker(): Promise<InternalBroker>
  readonly brokerPool: { readonly seedBroker: InternalBroker }
  findGroupCoordinator(options: { groupId: string }): Promise<{
    leaveGroup(options: { groupId: string; memberId: string }): Promise<void>
  }>
}

interface InternalBroker {
  readonly connectionPool: { send<T>(request: InternalRequest<T>): Promise<T> }
}

interface InternalRequest<T> {
  readonly request: { apiKey: number; apiVersion: number; apiName: string; encode: () => Promise<unknown> }
  readonly response: {
    decode: (bytes: Buffer) => Promise<{ readonly facts: T; readonly clientSideThrottleTime: number }>
    parse: (decoded: { readonly facts: T }) => Promise<T>
  }
}

/** Metadata v10, which tells topic ids: kafkajs speaks up to v6. */
function topicRequest(name: string): InternalRequest<TopicFacts | undefined> {
  const Encoder = require('kafkajs/src/protocol/encoder') as new () => { writeBuffer(bytes: Buffer): unknown }
  const text = Buffer.from(name)
  const body = Buffer.concat([
    // No tagged fields of the header; one topic: no id, its name, no tags; no creation, no authorized operations, no tags.
    Buffer.from([0, 2]),
    Buffer.alloc(16),
    Buffer.from([text.length + 1]),
    text,
    Buffer.from([0, 0, 0, 0, 0]),
  ])
  return {
    request: { apiKey: 3, apiVersion: 10, apiName: 'Metadata', encode: async () => new Encoder().writeBuffer(body) },
    // kafkajs asks each answer for its throttling.
    response: {
      decode: async (bytes) => ({ facts: topicIn(bytes), clientSideThrottleTime: 0 }),
      parse: async ({ facts }) => facts,
    },
  }
}

function topicIn(bytes: Buffer): TopicFacts | undefined {
  // After the tagged fields of the header and the throttle time.
  let at = 1 + 4
  const skip = (count: number): void => {
    at += count
  }
  const compact = (): number => {
    let value = 0
    for (let shift = 0; at < bytes.length; shift += 7) {
      const byte = bytes.readUInt8(at++)
      value |= (byte & 127) << shift
      if (byte < 128) break
    }
    return value
  }
  const skipText = (): void => skip(Math.max(0, compact() - 1))
  const skipTags = (): void => {
    for (let left = compact(); left > 0; left--) {
      compact()
      skip(compact())
    }
  }
  for (let brokers = compact() - 1; brokers > 0; brokers--) {
    skip(4)
    skipText()
    skip(4)
    skipText()
    skipTags()
  }
  skipText()
  skip(4)
  if (compact() - 1 < 1) return undefined
  const error = bytes.readInt16BE(at)
  skip(2)
  skipText()
  const id = bytes.subarray(at, at + 16).toString('hex')
  skip(16 + 1)
  // UNKNOWN_TOPIC_OR_PARTITION
  if (error === 3) return undefined
  const partitions: number[] = []
  for (let left = compact() - 1; left > 0; left--) {
    skip(2)
    partitions.push(bytes.readInt32BE(at))
    skip(4 + 4 + 4)
    for (let lists = 3; lists > 0; lists--) skip(4 * Math.max(0, compact() - 1))
    skipTags()
  }
  return { id, partitions: partitions.sort((a, b) => a - b) }
}
