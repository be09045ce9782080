// The live story against a bare loop, and its latency. Starts servers of its own. Prints one line of JSON.
//   node bench/kafka.ts RECORDS ROUNDS
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { OwnServers } from '../services/index.ts'
import { KafkaConnection } from '../src/connections/kafka.ts'
import { recordProducer } from '../src/connections/kafka-producer.ts'
import { clickLines } from '../src/sources/clicks.ts'
import { measure, median } from './measure.ts'

const [wanted = 3_000_000, rounds = 3] = process.argv.slice(2).map(Number)
/** As many in each of the three partitions, in thousands. */
const records = 3000 * Math.ceil(wanted / 3000)
if (!(records > 0 && rounds > 0)) throw new Error('usage: node bench/kafka.ts [RECORDS] [ROUNDS]')
const TOPIC = 'clickstream-data'
const say = (line: string): void => void process.stderr.write(`${line}\n`)
const servers = new OwnServers(say)

/** Seconds of a process, and what it has printed. */
async function timed(args: readonly string[]): Promise<{ seconds: number; output: string }> {
  const began = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`${args.join(' ')} ended with code ${code}`)
  return { seconds: (performance.now() - began) / 1000, output }
}

try {
  const [kafka, mongo] = await Promise.all([servers.kafka(), servers.mongo()])
  const connection = new KafkaConnection({ brokers: [kafka.url] })
  const topic = (name: string): Promise<void> => connection.createTopic(name, { numPartitions: 3 })
  await topic(TOPIC)
  const producer = recordProducer(connection.client)
  await producer.connect()
  say(`producing ${records} clicks`)
  const next = clickLines({ seed: 1 })
  for (let made = 0; made < records; made += 3000)
    for (let partition = 0; partition < 3; partition++)
      await producer.send({
        topic: TOPIC,
        messages: Array.from({ length: 1000 }, () => ({ value: next().trimEnd(), partition })),
      })

  const client = new MongoClient(mongo.url)
  const to = (database: string): string => mongo.url.replace('/?', `/${database}?collection=users&`)
  const [loop, stream]: [number[], number[]] = [[], []]
  for (let round = 0; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`)
    const bare = await timed([join(import.meta.dirname, 'rivals/kafkajs-loop.mjs'), kafka.url, TOPIC, String(records)])
    const ours = await timed([
      'pipelines/clickstream.ts',
      ...[
        'run',
        '--quiet',
        '--until-end',
        '--from',
        `kafka://${kafka.url}/${TOPIC}?group=bench-${round}`,
        '--to',
        to(`round${round}`),
      ],
    ])
    const [sum] = await client
      .db(`round${round}`)
      .collection('users')
      .aggregate<{ n: number }>([{ $group: { _id: null, n: { $sum: '$click_count' } } }])
      .toArray()
    const { clicks } = JSON.parse(bare.output) as { clicks: number }
    if (sum?.n !== clicks) throw new Error(`the stream counted ${sum?.n} clicks, the loop ${clicks}`)
    if (round === 0) continue
    loop.push(bare.seconds)
    stream.push(ours.seconds)
  }

  say('a million distinct users, each twice')
  await topic('many')
  const MANY = 1_000_000
  for (let made = 0; made < 2 * MANY; made += 3000)
    for (let partition = 0; partition < 3; partition++)
      await producer.send({
        topic: 'many',
        messages: Array.from({ length: 1000 }, (_, i) => ({
          value: `{"user_id":"visitor-${(made + 1000 * partition + i) % MANY}","action":"view","timestamp":"2026-01-01T00:00:00Z"}`,
          partition,
        })),
      })
  const many = await measure(
    `node pipelines/clickstream.ts run --quiet --until-end --from kafka://${kafka.url}/many --to '${to('many')}'`,
  )
  const documents = await client
    .db('many')
    .collection('users')
    .countDocuments({ click_count: { $gte: 2 } })
  if (documents !== MANY) throw new Error(`${documents} of ${MANY} users have their clicks`)

  say('latency at 1,000 clicks a second')
  await topic('latency')
  const child = spawn(
    process.execPath,
    ['pipelines/clickstream.ts', 'run', '--quiet', '--from', `kafka://${kafka.url}/latency`, '--to', to('latency')],
    { stdio: 'ignore' },
  )
  const users = client.db('latency').collection<{ user_id: string }>('users')
  const sent: number[] = []
  const latencies: number[] = []
  const changes = users.watch([{ $match: { operationType: 'insert' } }])
  changes.on('change', (change) => {
    const at = sent[Number((change as unknown as { documentKey: { _id: string } }).documentKey._id)]
    if (at !== undefined) latencies.push(performance.now() - at)
  })
  const TURN_MS = 10
  const turn = async (): Promise<void> => {
    const now = performance.now()
    const messages = Array.from({ length: TURN_MS }, () => {
      sent.push(now)
      return {
        value: JSON.stringify({ user_id: String(sent.length - 1), action: 'view', timestamp: '2026-01-01T00:00:00Z' }),
        partition: sent.length % 3,
      }
    })
    await producer.send({ topic: 'latency', messages })
  }
  await turn()
  while (latencies.length === 0) await sleep(50)
  await sleep(1000)
  latencies.length = 0
  for (let due = performance.now(), i = 0; i < 2000; i++, due += TURN_MS) {
    await sleep(Math.max(0, due - performance.now()))
    await turn()
  }
  await sleep(3000)
  child.kill('SIGTERM')
  await new Promise((resolve) => child.on('close', resolve))
  await changes.close()
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => Math.round(latencies[Math.floor(latencies.length * share)] ?? Number.NaN)
  console.log(
    JSON.stringify({
      records,
      loopSeconds: median(loop),
      streamSeconds: median(stream),
      manySeconds: many.seconds,
      manyPeakMB: many.peakMB,
      clicks: latencies.length,
      p50: at(0.5),
      p99: at(0.99),
      longest: at(0.99999),
    }),
  )
  await producer.disconnect()
  await client.close()
  await connection.close()
} finally {
  await servers.stop()
}
