import type { CompressionTypes, Kafka, Message, PartitionMetadata, Producer, Transaction } from 'kafkajs'
import { MillraceError } from '../core/errors.ts'
import { type KafkaConnection, kafkaError } from './kafka.ts'
import type { KafkaCodec } from './kafka-codecs.ts'
import { kafkajs } from './kafkajs.ts'

const { Partitioners } = kafkajs
export type KafkaCompression = 'none' | KafkaCodec

/** kafkajs copies all messages of a partition for each of them: more than this at once takes longer and longer. */
const MOST_AT_ONCE = 1000

export interface KafkaRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: Record<string, string>
}

/** Records by partition, as Java's default partitioner spreads them: by the hash of the key, without a key one partition a call. */
export class KafkaSpreader {
  readonly #topic: string
  readonly #partitions: readonly PartitionMetadata[]
  readonly #partitioner = Partitioners.DefaultPartitioner()

  constructor(topic: string, partitions: readonly number[]) {
    this.#topic = topic
    // The partitioner asks for the leader only to leave out what has none.
    this.#partitions = partitions.map((partitionId) => ({
      partitionId,
      leader: 0,
      partitionErrorCode: 0,
      replicas: [],
      isr: [],
    }))
  }

  spread(records: readonly KafkaRecord[]): ReadonlyMap<number, readonly Message[]> {
    const byPartition = new Map<number, Message[]>()
    let keyless: number | undefined
    for (const record of records) {
      const message: Message = {
        key: record.key,
        value: record.value,
        ...(record.headers === undefined ? {} : { headers: record.headers }),
      }
      const partitionOf = (): number =>
        this.#partitioner({ topic: this.#topic, partitionMetadata: [...this.#partitions], message })
      const partition = record.key === null ? (keyless ??= partitionOf()) : partitionOf()
      const messages = byPartition.get(partition)
      if (messages === undefined) byPartition.set(partition, [{ ...message, partition }])
      else messages.push({ ...message, partition })
    }
    return byPartition
  }
}

/** A producer for {@link sendRecords}: its records say their partitions, and it does not give up while leaders move. */
export function recordProducer(client: Kafka, transactionalId?: string): Producer {
  return client.producer({
    ...(transactionalId === undefined ? {} : { transactionalId }),
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition as number,
    retry: { retries: 30, initialRetryTime: 100, maxRetryTime: 1000 },
  })
}

/**
 * Sends records, one partition a call and its answer checked: a call over several partitions resolves, while a leader moves, without having
 * written some of them.
 */
export async function sendRecords(
  to: Pick<Producer | Transaction, 'send'>,
  topic: string,
  records: ReadonlyMap<number, readonly Message[]>,
  where: string,
  compression: KafkaCompression = 'none',
): Promise<void> {
  const codec = codecOf(compression)
  for (const [partition, messages] of records) {
    for (let at = 0; at < messages.length; at += MOST_AT_ONCE) {
      const answers = await to.send({
        topic,
        acks: -1,
        compression: codec,
        messages: messages.slice(at, at + MOST_AT_ONCE),
      })
      if (answers.some((answer) => answer.partition === partition && answer.errorCode === 0)) continue
      throw new MillraceError(
        'MLR_ERR_OUTPUT_WRITE',
        `Kafka at ${where} did not answer for ${topic}/${partition}: the records may not be there`,
      )
    }
  }
}

/** The last value of each key of a topic with one partition, as committed up to the end that it has now. */
export async function lastValues(
  connection: KafkaConnection,
  topic: string,
  group: string,
): Promise<ReadonlyMap<string, string>> {
  const values = new Map<string, string>()
  const end = (await connection.offsets(topic)).get(0)?.high ?? 0
  const start = (await connection.offsets(topic)).get(0)?.low ?? 0
  if (end <= start) return values
  const consumer = connection.client.consumer({
    groupId: group,
    maxWaitTimeInMs: 100,
    readUncommitted: false,
    allowAutoTopicCreation: false,
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const reached = (next: number): void => {
    if (next >= end) resolve()
  }
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) reject(kafkaError(payload.error, connection.label))
  })
  // Also what holds only the marks of transactions moves on.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => reached(Number(payload.lastOffset) + 1))
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        for (const { key, value } of batch.messages)
          if (key !== null && value !== null) values.set(key.toString(), value.toString())
      },
    })
    await promise
    return values
  } catch (error) {
    throw kafkaError(error, connection.label)
  } finally {
    await consumer.disconnect().catch(() => {})
    await (await connection.admin()).deleteGroups([group]).catch(() => {})
  }
}

function codecOf(compression: KafkaCompression): CompressionTypes {
  const types = kafkajs.CompressionTypes
  return { none: types.None, gzip: types.GZIP, snappy: types.Snappy, lz4: types.LZ4, zstd: types.ZSTD }[compression]
}
