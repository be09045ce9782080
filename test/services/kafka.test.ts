import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { kafka } from 'millrace'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bytesOfKafkaBatch, packedKafkaBatch } from '../../src/connections/kafka-codecs.ts'
import { KafkaSpreader, sendRecords } from '../../src/connections/kafka-producer.ts'
import { kafkajs } from '../../src/connections/kafkajs.ts'
import { openKafkaSink } from '../../src/sinks/kafka.ts'
import { openKafkaSource } from '../../src/sources/kafka.ts'
import type { KafkaSourceOptions } from '../../src/sources/kafka-positions.ts'
import { ended, program, ROOT, start } from '../support/program.ts'
import { LiveServers, whySkipped } from './live-runs.ts'

const require = createRequire(import.meta.url)
const skipped = whySkipped()
const CODECS = ['gzip', 'snappy', 'lz4', 'zstd'] as const

/** Each of these fails without its cure: what kafkajs does by itself is said beside it. */
describe.skipIf(skipped !== undefined)('the traps of kafkajs', () => {
  const servers = new LiveServers()
  beforeAll(() => servers.start(), 300_000)
  afterAll(() => servers.stop(), 60_000)

  let topics = 0
  const makeTopic = async (partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<string> => {
    const topic = `trap-${++topics}`
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    await servers.connection.createTopic(topic, { numPartitions: partitions, configEntries })
    return topic
  }
  interface Read {
    readonly partition: string
    readonly key: string | undefined
    readonly value: string
  }
  const brokers = () => [servers.kafka.url]
  const everything = async (topic: string, options: Partial<KafkaSourceOptions> = {}): Promise<Read[]> => {
    const reader = await openKafkaSource(
      { topics: [topic], brokers: brokers(), ...options },
      { name: 'trap', untilEnd: true },
    )
    const found: Read[] = []
    for await (const batch of reader) {
      if (batch.kind !== 'lines') continue
      batch.eachLine(
        (value, i) => {
          const key = batch.keyOf?.(i)
          found.push({
            partition: batch.partition,
            key: key === undefined ? undefined : Buffer.from(key).toString('hex'),
            value,
          })
        },
        (error) => {
          throw error
        },
      )
    }
    return found
  }
  const write = async (topic: string, values: readonly string[], options: object = {}): Promise<void> => {
    const sink = await openKafkaSink({ topic, brokers: brokers(), ...options })
    await sink.write({ kind: 'events', values } as never)
    await sink.close()
  }

  it('reads what Java has packed by gzip, snappy, lz4 and zstd, and Java reads what we have (kafkajs knows gzip)', async () => {
    const values = Array.from({ length: 3000 }, (_, i) => `${i} ${'ä'.repeat(i % 50)}`)
    for (const codec of CODECS) {
      // The broker packs anew what comes in another codec than the topic's, so it must unpack ours.
      const theirs = await makeTopic(1, { 'compression.type': codec })
      await write(theirs, values)
      expect(
        (await everything(theirs)).map(({ value }) => value),
        `theirs, ${codec}`,
      ).toEqual(values)
      const ours = await makeTopic(1, { 'compression.type': codec === 'gzip' ? 'zstd' : 'gzip' })
      await write(ours, values, { compression: codec })
      expect(
        (await everything(ours)).map(({ value }) => value),
        `ours, ${codec}`,
      ).toEqual(values)
    }
    expect(() => kafka({ topic: 'x', compression: 'brotli' as 'gzip' })).toThrow(
      'compression is none, gzip, snappy, lz4, zstd; got string "brotli"',
    )
  })

  it('refuses a batch that is damaged, or a bomb, with one line (kafkajs unpacks without bounds)', async () => {
    const bomb = Buffer.alloc(300 * 1024 * 1024)
    for (const [codec, packed] of [
      ['gzip', gzipSync(bomb, { level: 1 })],
      ['zstd', zstdCompressSync(bomb)],
    ] as const)
      await expect(bytesOfKafkaBatch(codec, packed)).rejects.toThrow(/unpacks to more than 256 MB/)
    const bytes = randomBytes(100_000)
    for (const codec of CODECS) {
      const packed = await packedKafkaBatch(codec, bytes)
      expect((await bytesOfKafkaBatch(codec, packed)).equals(bytes), codec).toBe(true)
      await expect(bytesOfKafkaBatch(codec, Buffer.from('no such thing'.repeat(9))), codec).rejects.toMatchObject({
        code: 'MLR_ERR_INPUT_COMPRESSED',
      })
    }
  })

  it('hides the records of an aborted transaction whose keys are four zero bytes (kafkajs takes them for its end)', async () => {
    const topic = await makeTopic()
    const zero = Buffer.alloc(4)
    const producer = servers.connection.client.producer({ transactionalId: 'trap', maxInFlightRequests: 1 })
    await producer.connect()
    for (const [outcome, value] of [
      ['commit', 'kept 1'],
      ['abort', 'aborted'],
      ['commit', 'kept 2'],
    ] as const) {
      const transaction = await producer.transaction()
      const messages = [zero, Buffer.from('b'), zero].map((key, i) => ({ key, value: `${value}.${i}`, partition: 0 }))
      await transaction.send({ topic, messages })
      await transaction[outcome]()
    }
    await producer.disconnect()
    expect((await everything(topic)).map(({ value }) => value)).toEqual(
      ['kept 1', 'kept 2'].flatMap((value) => [0, 1, 2].map((i) => `${value}.${i}`)),
    )
  })

  it('reads a batch of 200,000 records (kafkajs overflows its stack)', async () => {
    const topic = await makeTopic()
    const messages = Array.from({ length: 200_000 }, (_, i) => ({ key: null, value: String(i % 10), headers: {} }))
    // Its producer would need minutes to group them, so they go to the broker in one request.
    const client = servers.connection.client as unknown as Record<symbol, (options: object) => InternalCluster>
    const symbol = Object.getOwnPropertySymbols(client).find(
      ({ description }) => description === 'private:Kafka:createCluster',
    ) as symbol
    const cluster = (client[symbol] as (options: object) => InternalCluster)({ metadataMaxAge: 10_000 })
    await cluster.connect()
    await cluster.addTargetTopic(topic)
    await cluster.refreshMetadata()
    const broker = await cluster.findBroker({ nodeId: '1' })
    await broker.produce({
      topicData: [{ topic, partitions: [{ partition: 0, firstSequence: 0, messages }] }],
      compression: kafkajs.CompressionTypes.ZSTD,
    })
    await cluster.disconnect()
    expect((await everything(topic)).length).toBe(200_000)
  }, 120_000)

  it("puts a key where Java's producer puts it, and null keys somewhere (kafkajs asks nobody for the partition of a message)", async () => {
    // Hashes of Kafka's own tests.
    const hashes = {
      '21': -973_932_308,
      foobar: -790_332_482,
      'a-little-bit-long-string': -985_981_536,
      abc: 479_470_107,
    }
    const topic = await makeTopic(7)
    await write(topic, [...Object.keys(hashes), 'nobody'], {
      key: (value: string) => (value === 'nobody' ? undefined : value),
    })
    const found = await everything(topic)
    for (const [key, hash] of Object.entries(hashes))
      expect(found.find(({ value }) => value === key)?.partition, key).toBe(`${topic}/${(hash & 0x7fffffff) % 7}`)
    expect(found.length).toBe(5)
  })

  it('does not look at an idle connection thousands of times a second (kafkajs: a timer of a millisecond)', async () => {
    const { prototype } = require('kafkajs/src/network/requestQueue') as {
      prototype: { checkPendingRequests(): void }
    }
    const original = prototype.checkPendingRequests
    let looks = 0
    prototype.checkPendingRequests = function counted(this: unknown): void {
      looks++
      original.call(this)
    }
    try {
      await servers.connection.offsets(await makeTopic())
      looks = 0
      await sleep(500)
      expect(looks).toBeLessThan(50)
    } finally {
      prototype.checkPendingRequests = original
    }
  })

  it('keeps its talk out of standard output (kafkajs logs there)', async () => {
    const topic = await makeTopic()
    await write(topic, ['{"a":1}'])
    const from = `kafka://${servers.kafka.url}/${topic}`
    const out = await program(
      [
        join(ROOT, 'pipelines/produce.ts'),
        'run',
        '--from',
        from,
        '--until-end',
        '--no-checkpoint',
        '--to',
        '-',
        '--format',
        'lines',
      ],
      { env: { KAFKAJS_LOG_LEVEL: 'debug' } },
    )
    expect([out.code, out.stdout], out.stderr).toEqual([0, '{"a":1}\n'])
  })

  it('a record that holds the process for longer than its session is counted once (kafkajs: that consumer is dead)', async () => {
    const topic = await makeTopic(3)
    await write(
      topic,
      Array.from({ length: 300 }, (_, i) => `word ${i % 10}`),
      { key: (value: string) => value },
    )
    const out = await program([join(ROOT, 'test/services/slow-plan.ts'), 'run', '--until-end'], {
      env: {
        MILLRACE_KAFKA: servers.kafka.url,
        MILLRACE_MONGO: servers.mongo.url,
        TOPIC: topic,
        DATABASE: topic,
        BLOCK_MS: '13000',
      },
    })
    expect(out.code, out.stderr).toBe(0)
    const rows = await servers.client.db(topic).collection('words').find().toArray()
    expect(rows.map(({ word, n }) => `${word}: ${n}`).sort()).toEqual(
      Array.from({ length: 10 }, (_, i) => `word ${i}: 30`),
    )
  }, 120_000)

  it('tells a topic that is deleted or made anew while it is read (kafkajs reads the new one from its beginning)', async () => {
    const admin = await servers.connection.admin()
    const follow = (topic: string, more = '') => {
      const from = `kafka://${servers.kafka.url}/${topic}${more}`
      const child = start([
        join(ROOT, 'pipelines/produce.ts'),
        'run',
        '--from',
        from,
        '--no-checkpoint',
        '--to',
        '-',
        '--format',
        'lines',
      ])
      let seen = ''
      child.stdout.on('data', (chunk: Buffer) => {
        seen += chunk
      })
      const until = async (text: string): Promise<void> => {
        while (!seen.includes(text) && child.exitCode === null) await sleep(50)
      }
      return { child, out: ended(child), until }
    }
    const createTopic = (topic: string) => servers.connection.createTopic(topic, { numPartitions: 1 })
    const [anew, on, gone] = [await makeTopic(), await makeTopic(), await makeTopic()]
    for (const topic of [anew, on, gone]) await write(topic, ['"old 1"', '"old 2"'])

    const refusing = follow(anew)
    await refusing.until('old 2')
    await admin.deleteTopics({ topics: [anew] })
    await sleep(500)
    await createTopic(anew)
    await write(anew, ['"new 1"', '"new 2"', '"new 3"'])
    const refused = await refusing.out
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/was deleted and made anew while it was read.*MLR_ERR_INPUT_GONE/),
    ])
    expect(refused.stdout).toBe('"old 1"\n"old 2"\n')

    const going = follow(on, '?on-gone=earliest')
    await going.until('old 2')
    await admin.deleteTopics({ topics: [on] })
    await sleep(500)
    await createTopic(on)
    await write(on, ['"new 1"', '"new 2"', '"new 3"'])
    await going.until('new 3')
    going.child.kill('SIGTERM')
    const went = await going.out
    expect([went.code, went.stdout], went.stderr).toEqual([0, '"old 1"\n"old 2"\n"new 1"\n"new 2"\n"new 3"\n'])
    expect(went.stderr).toContain('going on at the earliest record')

    const losing = follow(gone)
    await losing.until('old 2')
    await admin.deleteTopics({ topics: [gone] })
    const lost = await losing.out
    expect([lost.code, lost.stderr]).toEqual([
      1,
      expect.stringContaining(`the topic ${gone} was deleted while it was read`),
    ])
  }, 120_000)

  it('sends a thousand records of a partition at most in one call (kafkajs copies them for each of them)', async () => {
    const topic = await makeTopic()
    const records = Array.from({ length: 2500 }, (_, i) => ({ key: null, value: Buffer.from(String(i)) }))
    const calls: number[] = []
    const to = {
      send: async ({ messages }: { messages: readonly unknown[] }) => {
        calls.push(messages.length)
        return [{ topicName: topic, partition: 0, errorCode: 0 }]
      },
    }
    await sendRecords(to, topic, new KafkaSpreader(topic, [0]).spread(records), 'here')
    expect(calls).toEqual([1000, 1000, 500])
    // kafkajs leaves out of its answer what it has lost.
    const silent = { send: async () => [] }
    await expect(sendRecords(silent, topic, new KafkaSpreader(topic, [0]).spread(records), 'here')).rejects.toThrow(
      `did not answer for ${topic}/0: the records may not be there`,
    )
  })
})

interface InternalCluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  refreshMetadata(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  findBroker(options: { nodeId: string }): Promise<{ produce(options: object): Promise<unknown> }>
}
