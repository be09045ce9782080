// `npm run demo`: the clickstream story on real servers. Clicks go into a Kafka topic, the stream keeps a document a user in
// MongoDB, is killed in the middle and started again; in the end the counts are compared with what was produced.
// With --full also the historical half: archive, Hadoop job, load, and from history to live.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MongoClient } from 'mongodb'
import { OwnServers } from '../services/index.ts'
import { KafkaConnection } from '../src/connections/kafka.ts'
import { KafkaSpreader, recordProducer, sendRecords } from '../src/connections/kafka-producer.ts'
import { printableUrl } from '../src/core/url.ts'
import { clickLines } from '../src/sources/clicks.ts'
import { showHistory, withDatabase } from './demo-history.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    rate: { type: 'string' },
    seed: { type: 'string' },
    full: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})
if (values.help === true) {
  process.stdout.write('Usage: npm run demo -- [--full] [--seconds 40] [--rate 1000] [--seed 1]\n')
  process.exit(0)
}
const SECONDS = Number(values.seconds ?? 40)
const RATE = Number(values.rate ?? 1000)
const root = fileURLToPath(new URL('..', import.meta.url))
/** Among what other people keep on their servers the demo's own things have a name that nobody else has. */
const guest = ['KAFKA', 'MONGO', 'WEBHDFS'].some((name) => process.env[`MILLRACE_${name}`] !== undefined)
const suffix = guest ? `-demo-${Date.now().toString(36)}` : ''
const own = (name: string): string => `${name}${suffix}`
const TOPIC = own('clickstream-data')
const GROUP = own('millrace.clickstream')
const [DATABASE, COLLECTION] = [own('clickstream_db'), 'user_clicks']
const say = (line = ''): void => void process.stdout.write(`${line}\n`)
const terminal = process.stdout.isTTY === true

interface UserClicks {
  readonly _id: string
  readonly user_id: string
  readonly click_count: number
  readonly last_action: string
}

const servers = new OwnServers(say)
let stream: ChildProcess | undefined
let client: MongoClient | undefined
let connection: KafkaConnection | undefined
let stopping = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stopping) process.exit(1)
    stopping = true
    say('\nstopping everything')
    stream?.kill('SIGKILL')
    cleanUp().finally(() => process.exit(130))
  })
}

async function cleanUp(): Promise<void> {
  await client?.close().catch(() => {})
  await connection?.close()
  await servers.stop()
}

function startStream(kafka: string, mongo: string): ChildProcess {
  const to = withDatabase(mongo, DATABASE, `collection=${COLLECTION}&index=-click_count`)
  const from = `kafka://${kafka}/${TOPIC}?group=${GROUP}`
  const args = [join(root, 'pipelines/clickstream.ts'), 'run', '--from', from, '--to', to]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  child.stderr.setEncoding('utf8')
  let rest = ''
  child.stderr.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (!terminal) for (const line of lines) say(`  stream │ ${line}`)
  })
  return child
}

/** Clicks at a steady rate: some malformed, one in a hundred sent twice. Returns how many well-formed ones there were of each user. */
async function produce(kafka: KafkaConnection, truth: Map<string, number>, seconds: number): Promise<number> {
  const producer = recordProducer(kafka.client)
  await producer.connect()
  const spreader = new KafkaSpreader(TOPIC, [0, 1, 2])
  const next = clickLines({ seed: Number(values.seed ?? 1), users: 2000, malformed: 0.01 })
  const TURN_MS = 50
  let produced = 0
  for (let turn = 0, due = Date.now(); turn < (seconds * 1000) / TURN_MS && !stopping; turn++, due += TURN_MS) {
    await sleep(Math.max(0, due - Date.now()))
    const texts: string[] = []
    while (texts.length < (RATE * TURN_MS) / 1000) {
      const text = next().trimEnd()
      texts.push(text)
      if (produced++ % 100 === 0) texts.push(text)
    }
    const records = texts.map((text) => {
      let user: string | undefined
      try {
        user = (JSON.parse(text) as { user_id: string }).user_id
        truth.set(user, (truth.get(user) ?? 0) + 1)
      } catch {
        // One of the malformed.
      }
      return { key: user === undefined ? null : Buffer.from(user), value: Buffer.from(text) }
    })
    await sendRecords(producer, TOPIC, spreader.spread(records), kafka.label)
  }
  await producer.disconnect()
  return produced
}

/** From the moment a click is produced to the moment its document can be read. */
async function probe(
  kafka: KafkaConnection,
  users: ReturnType<typeof usersOf>,
  until: () => boolean,
  truth: Map<string, number>,
): Promise<number[]> {
  const producer = recordProducer(kafka.client)
  await producer.connect()
  const latencies: number[] = []
  for (let i = 0; until(); i++) {
    const user = `probe-${i}`
    truth.set(user, 1)
    const sent = Date.now()
    await producer.send({
      topic: TOPIC,
      messages: [{ value: JSON.stringify({ user_id: user, action: 'view' }), partition: i % 3 }],
    })
    while (until() && (await users.findOne({ _id: user })) === null) await sleep(5)
    if (until()) latencies.push(Date.now() - sent)
    await sleep(200)
  }
  await producer.disconnect()
  return latencies
}

function usersOf(mongo: MongoClient) {
  return mongo.db(DATABASE).collection<UserClicks>(COLLECTION)
}

async function show(users: ReturnType<typeof usersOf>, title: string): Promise<void> {
  const [total] = await users
    .aggregate<{ n: number; users: number }>([
      { $group: { _id: null, n: { $sum: '$click_count' }, users: { $sum: 1 } } },
    ])
    .toArray()
  const top = await users.find().sort({ click_count: -1, _id: 1 }).limit(5).toArray()
  const lines = [
    `${title}: ${total?.n ?? 0} clicks of ${total?.users ?? 0} users`,
    ...top.map(
      ({ user_id, click_count, last_action }) =>
        `  ${user_id.padEnd(18)} ${String(click_count).padStart(6)}  ${last_action}`,
    ),
  ]
  if (!terminal) return say(lines.slice(0, 2).join(' │'))
  process.stdout.write(`\u001b[J${lines.join('\n')}\n\u001b[${lines.length}A`)
}

async function main(): Promise<boolean> {
  const full = values.full === true
  say(`starting Kafka${full ? ', HDFS, YARN' : ''} and MongoDB on this machine …`)
  const { kafka, mongo, hadoop, foreign } = await servers.addresses({ hadoop: full })
  if (foreign.length > 0)
    say(`${foreign.join(', ')}: not started, the environment names others; what is made there stays`)
  const shown = full ? `, HDFS at ${hadoop.MILLRACE_WEBHDFS ?? process.env.MILLRACE_WEBHDFS}` : ''
  say(`Kafka at ${kafka}, MongoDB at ${printableUrl(mongo)}${shown}`)
  connection = new KafkaConnection({ brokers: kafka.split(',') })
  await connection.createTopic(TOPIC, { numPartitions: 3 })
  client = new MongoClient(mongo)
  const users = usersOf(client)
  say(`topic ${TOPIC} with 3 partitions; ${RATE} clicks a second for ${SECONDS} s, some malformed, some sent twice\n`)

  const truth = new Map<string, number>()
  stream = startStream(kafka, mongo)
  let producing = true
  const produced = produce(connection, truth, SECONDS).finally(() => {
    producing = false
  })
  let calm = true
  const probed = probe(connection, users, () => producing && calm, truth)
  const started = Date.now()
  let killed = false
  while (producing && !stopping) {
    await sleep(1000)
    await show(users, `${Math.round((Date.now() - started) / 1000)} s`)
    if (!killed && Date.now() - started > (SECONDS * 1000) / 2) {
      killed = true
      calm = false
      const latencies = await probed
      if (terminal) process.stdout.write('\u001b[J')
      say(`\n*** kill -9 ${stream.pid}: the stream is dead; clicks go on coming …`)
      stream.kill('SIGKILL')
      await sleep(3000)
      stream = startStream(kafka, mongo)
      say(`*** started again as process ${stream.pid}\n`)
      latencies.sort((a, b) => a - b)
      const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN
      summary.push(
        `from click to document: p50 ${at(0.5)} ms, longest of ${latencies.length} probes ${latencies.at(-1)} ms`,
      )
    }
  }
  const clicks = await produced
  const wanted = [...truth.values()].reduce((sum, n) => sum + n, 0)
  for (let i = 0; i < 300 && !stopping; i++) {
    const [total] = await users
      .aggregate<{ n: number }>([{ $group: { _id: null, n: { $sum: '$click_count' } } }])
      .toArray()
    if ((total?.n ?? 0) >= wanted) break
    await sleep(100)
  }
  stream.kill('SIGTERM')
  await new Promise((resolve) => stream?.on('close', resolve))
  if (terminal) process.stdout.write('\u001b[J')

  const found = new Map((await users.find().toArray()).map(({ user_id, click_count }) => [user_id, click_count]))
  const different = [...truth].filter(([user, count]) => found.get(user) !== count)
  const equal = different.length === 0 && found.size === truth.size
  const busy = await users.countDocuments({ click_count: { $gt: 10 } })
  say(`\nproduced ${clicks} clicks; ${wanted} well-formed records of ${truth.size} users`)
  say(
    `in MongoDB: ${found.size} users; ${equal ? 'every count is equal to the truth: nothing lost, nothing twice' : `${different.length} counts DIFFER`}`,
  )
  for (const line of summary) say(line)
  const lag = await lagOf(connection)
  say(`lag of the group ${GROUP}: ${lag} records`)
  say(`\n{ click_count: { $gt: 10 } } finds ${busy} users.`)
  if (foreign.length === 0) {
    say('To look for yourself, keep servers running and the stream going:')
    say('  npm run services -- start')
    say('  MILLRACE_KAFKA=127.0.0.1:19092 MILLRACE_MONGO=mongodb://127.0.0.1:27027/?replicaSet=rs0 \\')
    say('    npx node pipelines/clickstream.ts')
  } else say(`Look for yourself: the topic ${TOPIC}, the collection ${DATABASE}.${COLLECTION}.`)
  if (!full || !equal) return equal
  return showHistory({
    kafka,
    mongo,
    hadoop,
    topic: TOPIC,
    own,
    client,
    live: { database: DATABASE, collection: COLLECTION },
    truth,
    produceMore: (seconds) => produce(connection as KafkaConnection, truth, seconds),
    say,
  })
}

async function lagOf(kafka: KafkaConnection): Promise<number> {
  const ends = await kafka.offsets(TOPIC)
  const committed = await (await kafka.admin()).fetchOffsets({ groupId: GROUP, topics: [TOPIC] })
  return (committed[0]?.partitions ?? []).reduce(
    (sum, { partition, offset }) => sum + (ends.get(partition)?.high ?? 0) - Math.max(0, Number(offset)),
    0,
  )
}

const summary: string[] = []
try {
  process.exitCode = (await main()) ? 0 : 1
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  if (!stopping) await cleanUp()
}
