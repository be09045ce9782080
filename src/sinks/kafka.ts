import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import { compareVersions } from '../checkpoints/checkpoint.ts'
import { KafkaConnection, type KafkaConnectionOptions, kafkaError } from '../connections/kafka.ts'
import {
  type KafkaCompression,
  type KafkaRecord,
  KafkaSpreader,
  lastValues,
  recordProducer,
  sendRecords,
} from '../connections/kafka-producer.ts'
import { Patience } from '../connections/patience.ts'
import { isMillraceError, MillraceError, reasonOf, show } from '../core/errors.ts'
import { faultPoint } from '../core/fault-point.ts'
import { keyText } from '../core/key.ts'
import { Pieces } from '../core/pieces.ts'
import type { Output, SinkWriter, Takeover, TaskSink, TaskSinkOptions, Version } from './sink.ts'

export interface KafkaSinkOptions extends KafkaConnectionOptions {
  readonly topic: string
  /** The key of an event's record. Rows have their own. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the stream's events are.
  readonly key?: (event: any) => string | Uint8Array | undefined
  // biome-ignore lint/suspicious/noExplicitAny: whatever the stream's events are.
  readonly headers?: (event: any) => Record<string, string>
  /** How batches are packed. Default: 'none'. */
  readonly compression?: KafkaCompression
}

/** What a pipeline has written, by its transactional id: the mark that is in the same transaction as the records. */
const MARKS = 'millrace-marks'
const LONGEST_WAIT_MS = 2000
/** How often the mark is asked for, where a broker has just gone. */
const MOST_TRIES = 10

/** As text in a checkpoint: key and value in base64, or null. */
type Prepared = readonly [key: string | null, value: string | null, headers: Record<string, string> | null | undefined]

interface Mark {
  readonly pipeline: string
  readonly version: Version
}

/** As a part of a task: each checkpoint is one transaction, with the mark of its number. Exactly once for readers that read what is committed. */
export async function openKafkaTask(options: KafkaSinkOptions, task: TaskSinkOptions): Promise<TaskSink> {
  const connection = new KafkaConnection({ ...options, clientId: `millrace ${task.pipeline}` })
  const id = `millrace-${task.pipeline}-${task.flow}-${options.topic}`
  const spreader = new KafkaSpreader(options.topic, await partitionsOf(connection, options.topic))
  await makeMarks(connection)
  let producer: Producer | undefined
  let takeover: Takeover | undefined
  let marked: Version | undefined

  /** A producer whose transactions are the only ones, and the mark as it is when no other can be open any more. */
  const begin = async (): Promise<Producer> => {
    await producer?.disconnect().catch(() => {})
    producer = recordProducer(connection.client, id)
    // Fences every other producer of this id, and ends what it has left open.
    await producer.connect()
    faultPoint('between init and mark')
    marked = (await readMark(connection, id))?.version
    return producer
  }
  const publish = async (version: Version, records: ReturnType<KafkaSpreader['spread']>): Promise<void> => {
    const patience = new Patience()
    for (let tries = 0; ; tries++) {
      try {
        const ready = producer ?? (await begin())
        if (marked !== undefined && compareVersions(marked, version) >= 0) return
        const transaction = await ready.transaction()
        await sendRecords(transaction, options.topic, records, connection.label, options.compression)
        const mark: Mark = { pipeline: task.pipeline, version }
        await sendRecords(
          transaction,
          MARKS,
          new Map([[0, [{ key: id, value: JSON.stringify(mark), partition: 0 }]]]),
          connection.label,
        )
        faultPoint('before the transaction ends')
        await transaction.commit()
        marked = version
        return
      } catch (error) {
        // Whether it was committed, the mark will tell; and who was fenced must not fence the owner.
        await takeover?.stillOwner()
        if (isMillraceError(error, 'MLR_ERR_FENCED')) throw error
        patience.failed(kafkaError(error, connection.label))
        if (tries === 0) task.say(`Kafka at ${connection.label}: ${reasonOf(error)}; trying again`)
        await producer?.disconnect().catch(() => {})
        producer = undefined
        await sleep(Math.min(LONGEST_WAIT_MS, 100 * 2 ** tries))
      }
    }
  }
  return {
    promise: 'exactly once (for readers of what is committed)',
    keepsRecord: true,
    recorded: () => readMark(connection, id),
    begin: async (given) => {
      takeover = given
      const patience = new Patience()
      for (;;) {
        try {
          await begin()
          return
        } catch (error) {
          await given.stillOwner()
          patience.failed(kafkaError(error, connection.label))
          task.say(`Kafka at ${connection.label}: ${reasonOf(error)}; trying again`)
          producer = undefined
          await sleep(LONGEST_WAIT_MS)
        }
      }
    },
    prepare: (outputs) => {
      const lines = new Pieces()
      for (const output of outputs)
        for (const { key, value, headers } of recordsOf(output, options)) {
          const line: Prepared = [key?.toString('base64') ?? null, value?.toString('base64') ?? null, headers]
          lines.add(`${JSON.stringify(line)}\n`)
        }
      return lines.end()
    },
    publish: async (version, pieces) => {
      const records = pieces
        .join('')
        .split('\n')
        .slice(0, -1)
        .map((line): KafkaRecord => {
          const [key, value, headers] = JSON.parse(line) as Prepared
          const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text, 'base64'))
          return {
            key: bytes(key),
            value: bytes(value),
            ...(headers === null || headers === undefined ? {} : { headers }),
          }
        })
      await publish(version, spreader.spread(records))
      return records.length
    },
    close: async () => {
      await producer?.disconnect().catch(() => {})
      await connection.close()
    },
  }
}

/** Without checkpoints: records as they come; a broker that goes away in between may have some twice. */
export async function openKafkaSink(options: KafkaSinkOptions): Promise<SinkWriter> {
  const connection = new KafkaConnection(options)
  const spreader = new KafkaSpreader(options.topic, await partitionsOf(connection, options.topic))
  const producer = recordProducer(connection.client)
  const close = async (): Promise<void> => {
    await producer.disconnect().catch(() => {})
    await connection.close()
  }
  try {
    await producer.connect()
  } catch (error) {
    throw kafkaError(error, connection.label)
  }
  return {
    write: async (output) => {
      try {
        const records = spreader.spread([...recordsOf(output, options)])
        await sendRecords(producer, options.topic, records, connection.label, options.compression)
      } catch (error) {
        throw kafkaError(error, connection.label)
      }
    },
    close,
    abort: close,
  }
}

function* recordsOf(output: Output, { key: keyOf, headers: headersOf }: KafkaSinkOptions): Generator<KafkaRecord> {
  if (output.kind === 'rows') {
    for (const { key, index, value } of output.changes) {
      const text = typeof key === 'string' && index === 0 ? key : keyText(index === 0 ? key : [key, index])
      yield { key: Buffer.from(text), value: value === undefined ? null : bytesOf(value) }
    }
    return
  }
  for (const event of output.values) {
    const key = keyOf?.(event)
    const headers = headersOf?.(event)
    yield {
      key: key === undefined ? null : Buffer.from(key as string),
      value: bytesOf(event),
      ...(headers === undefined ? {} : { headers }),
    }
  }
}

/** Texts and bytes as they are, everything else as JSON. */
function bytesOf(value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.from(value.endsWith('\n') ? value.slice(0, -1) : value)
  if (value instanceof Uint8Array) return Buffer.from(value)
  const text = JSON.stringify(value)
  if (text === undefined) throw new MillraceError('MLR_ERR_FORMAT', `a record can't be written as JSON: ${show(value)}`)
  return Buffer.from(text)
}

async function partitionsOf(connection: KafkaConnection, topic: string): Promise<readonly number[]> {
  const facts = await connection.topic(topic)
  if (facts !== undefined) return facts.partitions
  await connection.close()
  throw new MillraceError(
    'MLR_ERR_OUTPUT_WRITE',
    `Kafka at ${connection.label} has no topic '${topic}' — create it, or name another`,
  )
}

async function makeMarks(connection: KafkaConnection): Promise<void> {
  if ((await connection.topic(MARKS)) !== undefined) return
  await connection.createTopic(MARKS, {
    numPartitions: 1,
    configEntries: [{ name: 'cleanup.policy', value: 'compact' }],
  })
}

async function readMark(connection: KafkaConnection, id: string): Promise<Mark | undefined> {
  for (let tries = 0; ; tries++) {
    try {
      const text = (await lastValues(connection, MARKS, `millrace-marks-${randomUUID()}`)).get(id)
      return text === undefined ? undefined : (JSON.parse(text) as Mark)
    } catch (error) {
      if (!isMillraceError(error, 'MLR_ERR_SERVER_UNREACHABLE') || tries === MOST_TRIES) throw error
      await sleep(LONGEST_WAIT_MS)
    }
  }
}
