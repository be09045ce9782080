import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { isClick } from '../../pipelines/click.ts'
import { type KafkaCluster, type MongoServer, OwnServers, whyNoServers } from '../../services/index.ts'
import { KafkaConnection } from '../../src/connections/kafka.ts'
import { KafkaSpreader, recordProducer, sendRecords } from '../../src/connections/kafka-producer.ts'
import { clickLines } from '../../src/sources/clicks.ts'
import { openKafkaSource } from '../../src/sources/kafka.ts'

/** Why these tests can't run here; said loudly, and refused where skips are. */
export function whySkipped(): string | undefined {
  const why = process.env.MILLRACE_KAFKA_TESTS === 'off' ? 'they are switched off' : whyNoServers()
  if (why === undefined) return undefined
  if (process.env.MILLRACE_NO_SKIPS === '1') throw new Error(`tests on real servers must not be skipped here: ${why}`)
  process.stderr.write(`\n*** SKIPPED: the tests on real Kafka and MongoDB: ${why}\n\n`)
  return why
}

/** Real servers, and what the tests do with them. */
export class LiveServers {
  readonly #own = new OwnServers()
  kafka!: KafkaCluster
  mongo!: MongoServer
  connection!: KafkaConnection
  client!: MongoClient

  async start(
    options: { readonly brokers?: number; readonly login?: { readonly user: string; readonly password: string } } = {},
  ): Promise<this> {
    const { login } = options
    ;[this.kafka, this.mongo] = await Promise.all([
      this.#own.kafka(options),
      this.#own.mongo(login === undefined ? {} : { login }),
    ])
    this.connection = new KafkaConnection({ brokers: [this.kafka.url] })
    this.client = new MongoClient(this.mongo.url)
    return this
  }

  async stop(): Promise<void> {
    await this.client?.close().catch(() => {})
    await this.connection?.close()
    await this.#own.stop()
  }

  /** A case of its own: fresh topics and a fresh database. */
  async make(partitions = 3): Promise<LiveCase> {
    const name = `t${randomUUID().slice(0, 8)}`
    const made = new LiveCase(this, name)
    await made.createTopic(name, partitions)
    await made.createTopic(`${name}-out`, 2)
    return made
  }
}

export class LiveCase {
  readonly name: string
  readonly #servers: LiveServers
  /** Every line that was produced. */
  readonly lines: string[] = []
  #next = clickLines({ seed: 7, users: 150, malformed: 0.01 })

  constructor(servers: LiveServers, name: string) {
    this.#servers = servers
    this.name = name
  }

  get env(): NodeJS.ProcessEnv {
    const { kafka, mongo } = this.#servers
    return {
      MILLRACE_KAFKA: kafka.url,
      MILLRACE_MONGO: mongo.url,
      TOPIC: this.name,
      OUT: `${this.name}-out`,
      DATABASE: this.name,
    }
  }

  async createTopic(topic: string, numPartitions: number): Promise<void> {
    await this.#servers.connection.createTopic(topic, { numPartitions })
  }

  async produce(count: number, partitions = 3): Promise<void> {
    const producer = recordProducer(this.#servers.connection.client)
    // The broker that it asks first may be the dead one.
    for (let tries = 0; ; tries++) {
      try {
        await producer.connect()
        break
      } catch (error) {
        if (tries === 20) throw error
        await sleep(500)
      }
    }
    const spreader = new KafkaSpreader(
      this.name,
      Array.from({ length: partitions }, (_, i) => i),
    )
    const lines = Array.from({ length: count }, () => this.#next().trimEnd())
    this.lines.push(...lines)
    const records = lines.map((line, i) => ({ key: Buffer.from(String(i % 97)), value: Buffer.from(line) }))
    await sendRecords(producer, this.name, spreader.spread(records), 'test')
    await producer.disconnect()
  }

  /** What the sinks must hold. */
  expected(): unknown {
    const users = new Map<string, number>()
    const paid: string[] = []
    for (const line of this.lines) {
      let click: unknown
      try {
        click = JSON.parse(line)
      } catch {
        continue
      }
      if (!isClick(click)) continue
      users.set(click.user_id, (users.get(click.user_id) ?? 0) + 1)
      if (click.action === 'paid') paid.push(`${click.user_id} ${String(click.timestamp)}`)
    }
    const rows = [...users].filter(([, n]) => n % 3 !== 0).map(([user, n]) => `${user} ${n}`)
    return { users: rows.sort(), paid: paid.sort(), out: paid.sort() }
  }

  /** What they hold: rows that are gone left out, of the topic what is committed. */
  async held(): Promise<unknown> {
    const database = this.#servers.client.db(this.name)
    const rows = await database
      .collection('users')
      .find({ _gone: { $exists: false } })
      .toArray()
    const events = await database.collection('paid').find().toArray()
    return {
      users: rows.map(({ user, n }) => `${user} ${n}`).sort(),
      paid: events.map(({ user, at }) => `${user} ${at}`).sort(),
      out: (await this.#committed(`${this.name}-out`)).sort(),
    }
  }

  async #committed(topic: string): Promise<string[]> {
    const reader = await openKafkaSource(
      { topics: [topic], brokers: [this.#servers.kafka.url] },
      { name: 'out', untilEnd: true },
    )
    const found: string[] = []
    for await (const batch of reader) {
      if (batch.kind !== 'lines') continue
      batch.eachLine(
        (line) => {
          const { user, at } = JSON.parse(line) as { user: string; at: string }
          found.push(`${user} ${at}`)
        },
        (error) => {
          throw error
        },
      )
    }
    return found
  }
}
