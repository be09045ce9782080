import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Message } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordProducer, sendRecords } from '../../src/connections/kafka-producer.ts'
import { openKafkaSource } from '../../src/sources/kafka.ts'
import { ended, program, ROOT, start } from '../support/program.ts'
import { LiveServers, whySkipped } from './live-runs.ts'

const PLAN = join(ROOT, 'test/services/live-plan.ts')
const skipped = whySkipped()

describe.skipIf(skipped !== undefined)('three brokers, and a database that wants a login', () => {
  const servers = new LiveServers()
  beforeAll(() => servers.start({ brokers: 3, login: { user: 'ann', password: 'pass:w/ord' } }), 300_000)
  afterAll(() => servers.stop(), 60_000)

  it('loses nothing, and has nothing twice, while brokers are killed and come back under producers and consumers', async () => {
    const live = await servers.make()
    const child = start([PLAN, 'run'], { env: live.env })
    const out = ended(child)
    await live.produce(300)
    const users = servers.client.db(live.name).collection('users')
    while ((await users.countDocuments()) === 0 && child.exitCode === null) await sleep(100)
    for (let broker = 0; broker < 3; broker++) {
      await live.produce(300)
      await servers.kafka.killBroker(broker)
      await live.produce(300)
      await servers.kafka.startBroker(broker)
    }
    const expected = JSON.stringify(live.expected())
    let held = ''
    for (const until = Date.now() + 90_000; held !== expected && Date.now() < until && child.exitCode === null; ) {
      await sleep(500)
      held = JSON.stringify(await live.held().catch(() => undefined))
    }
    child.kill('SIGTERM')
    expect((await out).code, (await out).stderr).toBe(0)
    expect(JSON.parse(held)).toEqual(live.expected())
    expect((await out).stderr).not.toContain('pass')
  }, 240_000)

  it('has every record of a send that was acknowledged, while leaders move (kafkajs loses those of two partitions in six)', async () => {
    const topic = 'moving'
    await servers.connection.createTopic(topic, { numPartitions: 6, replicationFactor: 3 })
    const partitions = Array.from({ length: 6 }, (_, i) => i)
    const values = (round: number) => Array.from({ length: 240 }, (_, i) => `${round}/${i}`)
    const records = (round: number) => {
      const byPartition = new Map(partitions.map((partition) => [partition, [] as Message[]]))
      for (const [i, value] of values(round).entries()) byPartition.get(i % 6)?.push({ value, partition: i % 6 })
      return byPartition
    }
    const producer = recordProducer(servers.connection.client)
    await producer.connect()
    await sendRecords(producer, topic, records(0), 'test')
    // One broker is silent while the others answer, and is dead when they lead its partitions.
    servers.kafka.brokers[1]?.signal('SIGSTOP')
    const sending = sendRecords(producer, topic, records(1), 'test')
    const written = async (): Promise<number> =>
      [...(await servers.connection.offsets(topic)).values()].reduce((sum, { high }) => sum + high, 0)
    await sleep(6000)
    await servers.kafka.killBroker(1)
    await sending
    await servers.kafka.startBroker(1)
    await producer.disconnect()
    expect(await written()).toBe(480)
    const reader = await openKafkaSource(
      { topics: [topic], brokers: [servers.kafka.url] },
      { name: 'r', untilEnd: true },
    )
    const found: string[] = []
    for await (const batch of reader) {
      if (batch.kind !== 'lines') continue
      batch.eachLine(
        (line) => void found.push(line),
        (error) => {
          throw error
        },
      )
    }
    expect(found.sort()).toEqual([...values(0), ...values(1)].sort())
  }, 120_000)

  it('says that the password is wrong, and never shows it', async () => {
    const live = await servers.make()
    const url = servers.mongo.url.replace('pass%3Aw%2Ford', 'wr0ng')
    const out = await program([PLAN, 'run'], { env: { ...live.env, MILLRACE_MONGO: url } })
    expect([out.code, out.stderr]).toEqual([1, expect.stringContaining('refuses the login: Authentication failed')])
    expect(out.stderr).not.toContain('wr0ng')
  })
})
