import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MongoClient } from 'mongodb'

export interface HistoryScene {
  readonly kafka: string
  readonly mongo: string
  /** What finds HDFS and YARN, beside the environment. */
  readonly hadoop: Readonly<Record<string, string>>
  readonly topic: string
  /** Folders of HDFS and databases, that are the demo's own. */
  readonly own: (name: string) => string
  readonly client: MongoClient
  /** What the live stream has written. */
  readonly live: { readonly database: string; readonly collection: string }
  /** Clicks of each user, as they were produced. */
  readonly truth: ReadonlyMap<string, number>
  readonly produceMore: (seconds: number) => Promise<number>
  readonly say: (line?: string) => void
}

const root = fileURLToPath(new URL('..', import.meta.url))
const MORE_SECONDS = 5

/** The URL of a MongoDB server, with a database. */
export function withDatabase(url: string, database: string, more = ''): string {
  const [head = '', query = ''] = url.split('?')
  const server = head.replace(/^([a-z+]+:\/\/[^/]*).*$/, '$1')
  return `${server}/${database}?${[more, query].filter((part) => part !== '').join('&')}`
}

/** The historical half: the topic into HDFS, counted by Hadoop, loaded beside the live result; then a stream that begins where history ends. */
export async function showHistory(scene: HistoryScene): Promise<boolean> {
  const { kafka, mongo, hadoop, topic, own, client, live, truth, produceMore, say } = scene
  const [clicks, counts] = [`/${own('clickstream')}`, `/${own('user-actions')}`]
  const [historyDb, fromHistoryDb] = [own('history_db'), own('clickstream_from_history')]
  const to = (database: string, collection: string): string => withDatabase(mongo, database, `collection=${collection}`)
  const countsOf = async (database: string, collection: string): Promise<Map<string, number>> => {
    const documents = client.db(database).collection<{ user_id: string; click_count: number }>(collection).find()
    return new Map((await documents.toArray()).map(({ user_id, click_count }) => [user_id, click_count]))
  }
  const pipeline = async (name: string, ...args: string[]): Promise<void> => {
    say(
      `\n$ node pipelines/${name}.ts ${args.map((arg) => arg.replace(/^mongodb(\+srv)?:\/\/[^/]*/, 'mongodb://…')).join(' ')}`,
    )
    const child = spawn(process.execPath, [join(root, 'pipelines', `${name}.ts`), ...args], {
      env: { ...process.env, ...hadoop },
      stdio: ['ignore', 'ignore', process.stderr.isTTY === true ? 'inherit' : 'pipe'],
    })
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk
    })
    const code = await new Promise((resolve) => child.on('close', resolve))
    for (const line of said.trimEnd().split('\n')) if (line !== '') say(`  ${line}`)
    if (code !== 0) throw new Error(`${name} ended with code ${code}`)
  }
  const source = `kafka://${kafka}/${topic}`

  say('\n=== the historical half: the same clicks, counted by Hadoop')
  const archiving = [
    'run',
    '--until-end',
    '--from',
    `${source}?group=${own('archive')}`,
    '--to',
    `hdfs://${clicks}/clicks.ndjson`,
  ]
  await pipeline('archive', ...archiving, '--format', 'lines', '--rotate', '5000')
  await pipeline('user-actions', 'hadoop', '--input', clicks, '--output', counts, '--reducers', '2')
  await pipeline('load', 'run', '--from', `hdfs://${counts}`, '--to', to(historyDb, 'user_clicks'))
  const [stream, batch] = [await countsOf(live.database, live.collection), await countsOf(historyDb, 'user_clicks')]
  say('\nuser                  stream    Hadoop')
  for (const [user, count] of [...stream].sort((a, b) => b[1] - a[1]).slice(0, 5))
    say(`${user.padEnd(20)} ${String(count).padStart(7)}   ${String(batch.get(user)).padStart(7)}`)
  const same = equal(stream, batch)
  say(same ? `all ${stream.size} users: the stream and Hadoop have the same counts` : 'the stream and Hadoop DIFFER')

  say('\n=== from history to live: Hadoop computes the first checkpoint, the stream goes on where the archive ends')
  const target = to(fromHistoryDb, 'user_clicks')
  const checkpoints = withDatabase(mongo, fromHistoryDb)
  await pipeline('clickstream', 'hadoop', '--input', clicks, '--checkpoint', checkpoints, '--to', target)
  const begun = await countsOf(fromHistoryDb, 'user_clicks')
  say(`\n${begun.size} users of history are in MongoDB; ${MORE_SECONDS} s of new clicks come`)
  await produceMore(MORE_SECONDS)
  const going = [
    'run',
    '--until-end',
    '--from',
    `${source}?group=${own('from-history')}`,
    '--to',
    target,
    '--checkpoint',
    checkpoints,
  ]
  await pipeline('clickstream', ...going)
  const now = await countsOf(fromHistoryDb, 'user_clicks')
  const right = equal(now, truth)
  say(
    right
      ? `\nall ${now.size} users: history and live together are equal to the truth, no click lost or counted twice`
      : '\nhistory and live together DIFFER from the truth',
  )
  return same && right
}

function equal(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([user, count]) => b.get(user) === count)
}
