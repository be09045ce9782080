import type { CheckpointStore } from './checkpoints/store.ts'
import type { HdfsConnectionOptions } from './connections/hdfs.ts'
import { MillraceError, show } from './core/errors.ts'
import { printableUrl } from './core/url.ts'
import {
  clicks,
  directoryStore,
  type FileSinkOptions,
  file,
  hdfs,
  hdfsStore,
  kafka,
  mongo,
  mongoStore,
  sqlite,
  stdin,
  stdout,
} from './ends.ts'
import type { Sink } from './sinks/sink.ts'
import type { ClicksOptions } from './sources/clicks.ts'
import type { Source } from './sources/source.ts'

/** The checkpoint store that a `--checkpoint` names: a folder, `hdfs://namenode:9870/folder` or `mongodb://host/database`. */
export async function openCheckpointStore(
  url: string,
  pipeline: string,
  say: (line: string) => void = () => {},
): Promise<CheckpointStore> {
  if (url === '') throw new MillraceError('MLR_ERR_USAGE', '--checkpoint takes a folder or mongodb://…; got nothing')
  if (isMongoUrl(url)) {
    const { server, database } = mongoParts(url)
    return mongoStore({ url: server, database }, pipeline, say)
  }
  if (url.startsWith('hdfs:')) {
    const { path, options } = hdfsParts(url)
    return hdfsStore(options, `${path === '/' ? '' : path}/${pipeline}`, say)
  }
  return directoryStore(url)
}

/** The source that a `--from` names: `-`, `clicks:?count=10`, a path or glob. */
export function sourceOfUrl(url: string): Source<unknown> {
  if (url === '-') return stdin()
  if (url.startsWith('clicks:')) return clicks(clicksOptions(url))
  if (url.startsWith('kafka:')) return kafkaOfUrl(url)
  if (url.startsWith('hdfs:')) return hdfsOfUrl(url)
  refuseOtherSystems(url)
  return file(url)
}

/** The sink that a `--to` names: `-`, or a path. */
export function sinkOfUrl(url: string, format: FileSinkOptions = {}): Sink<unknown> {
  if (url === '-') return stdout(format)
  if (url.startsWith('sqlite:')) return sqliteOfUrl(url)
  if (isMongoUrl(url)) return mongoOfUrl(url)
  if (url.startsWith('kafka:')) return kafkaOfUrl(url)
  if (url.startsWith('hdfs:')) return hdfsOfUrl(url, format)
  refuseOtherSystems(url)
  if (url === '') throw new MillraceError('MLR_ERR_USAGE', '--to takes a path or -; got nothing')
  return file(url, format)
}

function clicksOptions(url: string): ClicksOptions {
  const query = new URLSearchParams(url.slice('clicks:'.length).replace(/^\?/, ''))
  const known = ['count', 'rate', 'seed', 'users', 'malformed']
  const unknown = [...query.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new MillraceError('MLR_ERR_USAGE', `clicks: has no ${show(unknown)}; it has ${known.join(', ')}`)
  return Object.fromEntries([...query].map(([name, value]) => [name, value === '' ? Number.NaN : Number(value)]))
}

function sqliteOfUrl(url: string): Sink<unknown> {
  const [path = '', query = ''] = url.slice('sqlite:'.length).split('?')
  const given = new URLSearchParams(query)
  const table = given.get('table') ?? ''
  if (path === '' || table === '' || [...given.keys()].some((name) => name !== 'table' && name !== 'index')) {
    throw new MillraceError(
      'MLR_ERR_USAGE',
      `an SQLite sink is sqlite:FILE?table=NAME, and &index=COLUMN or &index=-COLUMN for indexes; got ${show(url)}`,
    )
  }
  return sqlite({ path, table, indexes: indexesOf(given) })
}

/** `index=a` upwards, `index=-a,b` downwards and then upwards. */
function indexesOf(query: URLSearchParams): readonly Readonly<Record<string, 1 | -1>>[] {
  return query
    .getAll('index')
    .map((text) =>
      Object.fromEntries(
        text.split(',').map((name) => (name.startsWith('-') ? [name.slice(1), -1 as const] : [name, 1 as const])),
      ),
    )
}

function isMongoUrl(url: string): boolean {
  return /^mongodb(\+srv)?:\/\//.test(url)
}

/** `mongodb://host/database?collection=c&…`: what is the driver's stays in the server's URL. */
function mongoParts(url: string): {
  readonly server: string
  readonly database: string
  readonly own: URLSearchParams
} {
  const match = /^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url)
  const [, host = '', database = '', query = ''] = match ?? []
  if (match === null || database === '')
    throw new MillraceError(
      'MLR_ERR_USAGE',
      `${printableUrl(url)}: a MongoDB URL here is mongodb://HOST/DATABASE?collection=NAME`,
    )
  const all = new URLSearchParams(query)
  const own = new URLSearchParams()
  for (const name of ['collection', 'index']) {
    for (const value of all.getAll(name)) own.append(name, value)
    all.delete(name)
  }
  const rest = all.toString()
  return { server: `${host}/${rest === '' ? '' : `?${rest}`}`, database: decodeURIComponent(database), own }
}

function mongoOfUrl(url: string): Sink<unknown> {
  const { server, database, own } = mongoParts(url)
  const collection = own.get('collection')
  if (collection === null || collection === '')
    throw new MillraceError(
      'MLR_ERR_USAGE',
      `${printableUrl(url)}: say which collection: mongodb://HOST/DATABASE?collection=NAME`,
    )
  return mongo({ url: server, database, collection, indexes: indexesOf(own) })
}

/** `kafka://host:9092,host2:9092/topic?start=latest&group=g&on-gone=earliest&key=member&compression=zstd&ssl=true&mechanism=plain`. */
function kafkaOfUrl(url: string): Source<string> & Sink<unknown> {
  const match = /^kafka:\/\/(?:([^@/]*)@)?([^/?]*)\/([^?]+)(?:\?(.*))?$/.exec(url)
  if (match === null)
    throw new MillraceError('MLR_ERR_USAGE', `${printableUrl(url)}: a Kafka source is kafka://HOST:9092/TOPIC`)
  const [, user, hosts = '', topic = '', query] = match
  const given = new URLSearchParams(query ?? '')
  const known = ['start', 'group', 'on-gone', 'ssl', 'mechanism', 'key', 'compression']
  const unknown = [...given.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new MillraceError('MLR_ERR_USAGE', `kafka: has no ${show(unknown)}; it has ${known.join(', ')}`)
  const start = given.get('start') ?? 'earliest'
  const time = /^\d+$/.test(start) ? Number(start) : Date.parse(start)
  if (start !== 'earliest' && start !== 'latest' && Number.isNaN(time))
    throw new MillraceError('MLR_ERR_USAGE', `kafka: start is earliest, latest or a time; got ${show(start)}`)
  const [username, password] = (user ?? '').split(':').map(decodeURIComponent)
  const mechanism = (given.get('mechanism') ?? 'plain') as 'plain'
  return kafka({
    topic: topic.split(',').map(decodeURIComponent),
    start: start === 'earliest' || start === 'latest' ? start : time,
    ...(hosts === '' ? {} : { brokers: hosts.split(',') }),
    ...(given.has('group') ? { group: given.get('group') as string } : {}),
    ...(given.get('on-gone') === 'earliest' ? { onGone: 'earliest' as const } : {}),
    ...(given.has('key') ? { key: memberOf(given.get('key') as string) } : {}),
    ...(given.has('compression') ? { compression: given.get('compression') as 'none' } : {}),
    ...(given.get('ssl') === 'true' ? { ssl: true } : {}),
    ...(username === undefined || username === ''
      ? {}
      : { sasl: { mechanism, username, ...(password === undefined ? {} : { password }) } }),
  })
}

/** `hdfs://namenode:9870,another:9870/path?user=u&tls=true`; without a host the environment's MILLRACE_WEBHDFS. */
export function hdfsParts(url: string): { readonly path: string; readonly options: HdfsConnectionOptions } {
  const match = /^(hdfs):\/\/(?:([^@/]*)@)?([^/]*)(\/[^?]*)(?:\?(.*))?$/.exec(url)
  if (match === null)
    throw new MillraceError(
      'MLR_ERR_USAGE',
      `${printableUrl(url)}: HDFS is hdfs://NAMENODE:9870/PATH, by its HTTP port`,
    )
  const [, , user, hosts = '', path = '/', query] = match
  const given = new URLSearchParams(query ?? '')
  const unknown = [...given.keys()].find((name) => name !== 'user' && name !== 'tls')
  if (unknown !== undefined) throw new MillraceError('MLR_ERR_USAGE', `hdfs: has no ${show(unknown)}; it has user, tls`)
  const who = user ?? given.get('user') ?? ''
  return {
    path,
    options: {
      ...(hosts === '' ? {} : { nameNodes: hosts.split(',') }),
      ...(who === '' ? {} : { user: who }),
      ...(given.get('tls') === 'true' ? { tls: true } : {}),
    },
  }
}

function hdfsOfUrl(url: string, format: FileSinkOptions = {}): Source<string> & Sink<unknown> {
  const { path, options } = hdfsParts(url)
  return hdfs(path, { ...format, ...options })
}

/** `kafka://…` is no file, and a file that looks so can be named `./kafka://…`. */
function refuseOtherSystems(url: string): void {
  const scheme = /^([a-z][a-z0-9+.-]*):/.exec(url)?.[1]
  if (scheme === undefined || scheme.length === 1) return
  if (scheme === 'file')
    throw new MillraceError('MLR_ERR_USAGE', `${printableUrl(url)}: name a file by its path, without file:`)
  throw new MillraceError(
    'MLR_ERR_USAGE',
    `${printableUrl(url)}: this version has no ends for '${scheme}:' — it has files, folders, globs, -, clicks:, hdfs:, kafka:, sqlite: and mongodb:; for a file of that name write ./${scheme}:…`,
  )
}

/** A member of an event, or of the JSON text that it is: what `?key=NAME` makes the key of a record. */
function memberOf(name: string): (event: unknown) => string | undefined {
  return (event) => {
    try {
      const value: unknown = typeof event === 'string' ? JSON.parse(event) : event
      const member = (value as Readonly<Record<string, unknown>> | null)?.[name]
      return member === undefined || member === null
        ? undefined
        : typeof member === 'string'
          ? member
          : JSON.stringify(member)
    } catch {
      return undefined
    }
  }
}
