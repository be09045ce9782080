import type { CheckpointStore } from './checkpoints/store.ts'
import { MillraceError, show } from './core/errors.ts'
import { printableUrl } from './core/url.ts'
import type { FormatName, TextFormat } from './formats/format.ts'
import { mistakeIn, type Rotation } from './sinks/event-files.ts'
import type { MongoSinkOptions } from './sinks/mongo.ts'
import type { Sink } from './sinks/sink.ts'
import type { SqliteOptions } from './sinks/sqlite-table.ts'
import type { ClicksOptions } from './sources/clicks.ts'
import type { KafkaSourceOptions } from './sources/kafka.ts'
import type { Source } from './sources/source.ts'

/** How a text sink writes. */
export interface TextSinkOptions {
  /** 'json' (the default): one value a line. 'tsv': one row a line. 'lines': texts as they are. 'table': for people. */
  readonly format?: FormatName
  /** Only 'tsv' and 'table': which members, in which order. */
  readonly columns?: readonly string[]
}

/** How a sink of files writes. */
export interface FileSinkOptions extends TextSinkOptions {
  /** Events go to many files, each seen when it is closed and named by the source positions that it covers. */
  readonly rotate?: Rotation
  /** Only with checkpoints, of a table: 'snapshot' (the default) is one file that holds the whole table; 'changes' is a log of its changes. */
  readonly table?: 'snapshot' | 'changes'
}

export interface LineSourceOptions {
  /** Longer lines are skipped and counted, never held in memory. Default 16 MiB. */
  readonly maxLineBytes?: number
}

/**
 * A file, as source or sink.
 *
 * Source: lines as strings. The path may be a file, a folder (its files, without names that begin with `_` or `.`) or a glob; `.gz` and
 * `.zst` are unpacked. `record.position` is `{ line, offset }`. Bounded. A line that is not valid UTF-8 is skipped and counted.
 *
 * Sink: values as text, one a line; written to a temporary name and renamed when the run has ended well, so the file is whole or not
 * there. Packed by the suffix `.gz` or `.zst`.
 *
 * With `rotate`, and for events always with checkpoints: files `NAME.PARTITION.FROM-TO.SUFFIX` beside it, one run of one source partition each,
 * seen when they are closed. A table is with checkpoints one file that is replaced as a whole, or a log of its changes. Exactly once.
 *
 * @example
 * ```ts
 * const copy = pipeline('copy', from(file('in.ndjson.gz')).pipe(parseJson()).to(file('out.ndjson')))
 * ```
 */
export function file(path: string, options: FileSinkOptions & LineSourceOptions = {}): Source<string> & Sink<unknown> {
  if (typeof path !== 'string' || path === '')
    throw new MillraceError('MLR_ERR_PLAN', `file takes a path; got ${show(path)}`)
  const { maxLineBytes } = options
  return {
    source: {
      kind: 'file',
      label: `file ${path}`,
      bounded: true,
      textLines: true,
      resumable: true,
      open: async (opening) => (await import('./sources/file.ts')).openFileSource(path, { ...opening, maxLineBytes }),
    },
    ...fileSink(path, textFormat(options), options),
  }
}

/**
 * Standard input: lines as strings, as from {@link file}. Bounded: it ends when its writer does. It can't be read twice.
 *
 * @example
 * ```ts
 * const echo = pipeline('echo', from(stdin()).to(stdout({ format: 'lines' })))
 * ```
 */
export function stdin(options: LineSourceOptions = {}): Source<string> {
  const { maxLineBytes } = options
  return {
    source: {
      kind: 'stdin',
      label: 'stdin',
      bounded: true,
      textLines: true,
      open: async (opening) => (await import('./sources/stdin.ts')).openStdin({ ...opening, maxLineBytes }),
    },
  }
}

/**
 * Standard output: values as text, one a line. It takes no part in any protocol: what was written can't be taken back.
 *
 * @example
 * ```ts
 * const hello = pipeline('hello', from(memory([{ hello: 'world' }])).to(stdout({ format: 'tsv' })))
 * ```
 */
export function stdout(options: TextSinkOptions = {}): Sink<unknown> {
  return stdoutSink(textFormat(options))
}

/**
 * An array as source, or the end of a run as an array: for tests and for code that embeds a pipeline. As a sink it adds to the array
 * when the run has ended well: the events in order, of a table the rows by key.
 *
 * @example
 * ```ts
 * const doubled: number[] = []
 * const twice = pipeline('twice', from(memory([1, 2])).pipe(map((n) => n * 2)).to(memory(doubled)))
 * ```
 */
export function memory<T>(values: T[] | readonly T[]): Source<T> & Sink<T> {
  return {
    source: {
      kind: 'memory',
      label: `memory (${values.length} values)`,
      bounded: true,
      textLines: false,
      open: async (opening) => (await import('./sources/memory.ts')).openMemorySource(values, opening),
    },
    sink: {
      kind: 'memory',
      label: 'memory',
      open: async () => (await import('./sinks/memory.ts')).openMemorySink(values as unknown[]),
    },
  }
}

/**
 * Made-up clicks as lines of JSON (`user_id`, `action`, `timestamp`): the same seed gives the same clicks. Without `count` they never
 * end; with `rate` they come at that many a second.
 *
 * @example
 * ```ts
 * const few = pipeline('few', from(clicks({ count: 3 })).pipe(parseJson()).to(stdout()))
 * ```
 */
export function clicks(options: ClicksOptions = {}): Source<string> {
  const { count, rate, seed = 1 } = options
  const wrong = Object.entries(options).find(([, value]) => typeof value !== 'number' || !(value >= 0))
  if (wrong !== undefined)
    throw new MillraceError('MLR_ERR_PLAN', `clicks: ${wrong[0]} must be a number of at least 0; got ${show(wrong[1])}`)
  return {
    source: {
      kind: 'clicks',
      label: `generated clicks (${count ?? 'without end'}, seed ${seed}${rate === undefined ? '' : `, ${rate}/s`})`,
      bounded: count !== undefined,
      textLines: true,
      open: async (opening) => (await import('./sources/clicks.ts')).openClicks(options, opening),
    },
  }
}

/** The checkpoint store that a `--checkpoint` names: a folder, or `mongodb://host/database`. */
export async function openCheckpointStore(
  url: string,
  pipeline: string,
  say: (line: string) => void = () => {},
): Promise<CheckpointStore> {
  if (url === '') throw new MillraceError('MLR_ERR_USAGE', '--checkpoint takes a folder or mongodb://…; got nothing')
  if (isMongoUrl(url)) {
    const { server, database } = mongoParts(url)
    return (await import('./checkpoints/mongo.ts')).openMongoStore({ url: server, database }, pipeline, say)
  }
  return (await import('./checkpoints/directory.ts')).openDirectoryStore(url)
}

/** The source that a `--from` names: `-`, `clicks:?count=10`, a path or glob. */
export function sourceOfUrl(url: string): Source<unknown> {
  if (url === '-') return stdin()
  if (url.startsWith('clicks:')) return clicks(clicksOptions(url))
  if (url.startsWith('kafka:')) return kafkaOfUrl(url)
  refuseOtherSystems(url)
  return file(url)
}

/** The sink that a `--to` names: `-`, or a path. */
export function sinkOfUrl(url: string, format: FileSinkOptions = {}): Sink<unknown> {
  if (url === '-') return stdout(format)
  if (url.startsWith('sqlite:')) return sqliteOfUrl(url)
  if (isMongoUrl(url)) return mongoOfUrl(url)
  refuseOtherSystems(url)
  if (url === '') throw new MillraceError('MLR_ERR_USAGE', '--to takes a path or -; got nothing')
  return fileSink(url, textFormat(format), format)
}

function clicksOptions(url: string): ClicksOptions {
  const query = new URLSearchParams(url.slice('clicks:'.length).replace(/^\?/, ''))
  const known = ['count', 'rate', 'seed', 'users', 'malformed']
  const unknown = [...query.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new MillraceError('MLR_ERR_USAGE', `clicks: has no ${show(unknown)}; it has ${known.join(', ')}`)
  return Object.fromEntries([...query].map(([name, value]) => [name, value === '' ? Number.NaN : Number(value)]))
}

/**
 * A table of an SQLite database: a column a member, rows of a table by their key. With checkpoints exactly once; without them each run
 * replaces what the table held, when it has ended well. `indexes` are made when their columns have come.
 *
 * @example
 * ```ts
 * const hits = pipeline('hits', from(memory([{ page: '/', n: 1 }])).to(sqlite({ path: ':memory:', table: 'hits' })))
 * ```
 */
export function sqlite(options: SqliteOptions): Sink<unknown> {
  const { path, table, indexes = [] } = options
  if (typeof path !== 'string' || path === '' || typeof table !== 'string' || table === '') {
    throw new MillraceError('MLR_ERR_PLAN', `sqlite takes { path, table }; got ${show(options)}`)
  }
  const wrong = indexes.find(
    (index) => Object.keys(index).length === 0 || Object.values(index).some((order) => order !== 1 && order !== -1),
  )
  if (wrong !== undefined)
    throw new MillraceError('MLR_ERR_PLAN', `sqlite: an index is { column: 1 or -1 }; got ${show(wrong)}`)
  return {
    sink: {
      kind: 'sqlite',
      label: `sqlite ${path} table ${table}`,
      open: async () => (await import('./sinks/sqlite.ts')).openSqlite(options),
      openTask: async ({ pipeline }) => (await import('./sinks/sqlite.ts')).openSqliteTask(options, pipeline),
    },
  }
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

/**
 * A Kafka topic, as source: the values of its records as text, with `record.key`, `headers`, `timestamp`, `partition` ('topic/0') and `position`
 * (the offset). Read committed; without end (`--until-end` ends it where the end is now). A record without a value, or whose value is not valid
 * UTF-8, is skipped and counted.
 *
 * With checkpoints the positions are in them; the consumer group decides who works: one process reads all partitions, others stand by. A position that
 * is gone (retention, a topic that was made anew) stops the run unless `onGone` says to go on.
 *
 * @example
 * ```ts no-run
 * const texts = from(kafka({ topic: 'clickstream-data', brokers: ['127.0.0.1:9092'] })) // Stream<string>
 * ```
 */
export function kafka(options: KafkaOptions): Source<string> {
  const { topic, ...rest } = options
  const topics = typeof topic === 'string' ? [topic] : topic
  if (!Array.isArray(topics) || topics.length === 0 || topics.some((name) => typeof name !== 'string' || name === ''))
    throw new MillraceError('MLR_ERR_PLAN', `kafka takes { topic }, a name or several; got ${show(topic)}`)
  const where = rest.brokers === undefined ? '' : ` at ${rest.brokers.join(',')}`
  const source = { ...rest, topics }
  return {
    source: {
      kind: 'kafka',
      label: `kafka ${topics.join(', ')}${where}`,
      bounded: false,
      textLines: true,
      resumable: true,
      claim: async (claiming) => (await import('./sources/kafka.ts')).claimKafka(source, claiming),
      open: async (opening) => (await import('./sources/kafka.ts')).openKafkaSource(source, opening),
    },
  }
}

export interface KafkaOptions extends Omit<KafkaSourceOptions, 'topics'> {
  /** One or more. */
  readonly topic: string | readonly string[]
}

/**
 * A MongoDB collection. Rows of a table lie by their key (`_id`), events are added, each once. With checkpoints exactly once, and the checkpoints lie
 * in the same database if nothing else is said; without them rows replace those of their keys as they come. A document that has `_gone`
 * is a row that went away, kept for a day: leave it out where you look for what is missing.
 *
 * @example
 * ```ts no-run
 * const users = mongo({ database: 'clickstream_db', collection: 'user_clicks', indexes: [{ click_count: -1 }] })
 * ```
 */
export function mongo(options: MongoSinkOptions): Sink<unknown> {
  const { url, database, collection } = options
  if (typeof database !== 'string' || database === '' || typeof collection !== 'string' || collection === '')
    throw new MillraceError(
      'MLR_ERR_PLAN',
      `mongo takes { database, collection }; got ${show({ database, collection })}`,
    )
  const full = url ?? process.env.MILLRACE_MONGO ?? 'mongodb://127.0.0.1:27017'
  return {
    sink: {
      kind: 'mongo',
      label: `mongo ${database}.${collection}`,
      checkpointUrl: withDatabase(full, database),
      open: async () => (await import('./sinks/mongo.ts')).openMongo(options),
      openTask: async (task) => (await import('./sinks/mongo.ts')).openMongoTask(options, task, task.say),
    },
  }
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

function withDatabase(url: string, database: string): string {
  const [head = '', query] = url.split('?')
  const host = head.replace(/^(mongodb(?:\+srv)?:\/\/[^/]+).*$/, '$1')
  return `${host}/${encodeURIComponent(database)}${query === undefined ? '' : `?${query}`}`
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

/** `kafka://host:9092,host2:9092/topic?start=latest&group=g&on-gone=earliest&ssl=true&user=u&mechanism=plain`. */
function kafkaOfUrl(url: string): Source<string> {
  const match = /^kafka:\/\/(?:([^@/]*)@)?([^/?]*)\/([^?]+)(?:\?(.*))?$/.exec(url)
  if (match === null)
    throw new MillraceError('MLR_ERR_USAGE', `${printableUrl(url)}: a Kafka source is kafka://HOST:9092/TOPIC`)
  const [, user, hosts = '', topic = '', query] = match
  const given = new URLSearchParams(query ?? '')
  const known = ['start', 'group', 'on-gone', 'ssl', 'mechanism']
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
    ...(given.get('ssl') === 'true' ? { ssl: true } : {}),
    ...(username === undefined || username === ''
      ? {}
      : { sasl: { mechanism, username, ...(password === undefined ? {} : { password }) } }),
  })
}

/** `kafka://…` is no file, and a file that looks so can be named `./kafka://…`. */
function refuseOtherSystems(url: string): void {
  const scheme = /^([a-z][a-z0-9+.-]*):/.exec(url)?.[1]
  if (scheme === undefined || scheme.length === 1) return
  if (scheme === 'file')
    throw new MillraceError('MLR_ERR_USAGE', `${printableUrl(url)}: name a file by its path, without file:`)
  throw new MillraceError(
    'MLR_ERR_USAGE',
    `${printableUrl(url)}: this version has no ends for '${scheme}:' — it has files, folders, globs, -, clicks:, kafka:, sqlite: and mongodb:; for a file of that name write ./${scheme}:…`,
  )
}

function textFormat({ format = 'json', columns }: TextSinkOptions): TextFormat {
  return columns === undefined ? { format } : { format, columns }
}

function fileSink(path: string, format: TextFormat, options: Pick<FileSinkOptions, 'rotate' | 'table'>): Sink<unknown> {
  const { rotate, table = 'snapshot' } = options
  const mistake = rotate === undefined ? undefined : mistakeIn(rotate)
  if (mistake !== undefined) throw new MillraceError('MLR_ERR_PLAN', `file ${path}: ${mistake}`)
  if (table !== 'snapshot' && table !== 'changes')
    throw new MillraceError('MLR_ERR_PLAN', `file ${path}: table is 'snapshot' or 'changes'; got ${show(table)}`)
  const files = { path, format, rotate: rotate ?? {} }
  return {
    sink: {
      kind: 'file',
      label: `file ${path} (${format.format}${rotate === undefined ? '' : ', rotated'})`,
      ...format,
      wantsLineage: rotate !== undefined,
      withFormat: (other) => fileSink(path, { ...format, ...other }, options),
      open: async () =>
        rotate === undefined
          ? (await import('./sinks/file.ts')).openFileSink(path, format)
          : (await import('./sinks/event-files-task.ts')).openEventFiles(files),
      openTask: async ({ pipeline, over }) =>
        over === 'table' && table === 'snapshot'
          ? (await import('./sinks/snapshot-file.ts')).openSnapshotTask(path, format, pipeline)
          : (await import('./sinks/event-files-task.ts')).openEventFilesTask(files, pipeline),
    },
  }
}

function stdoutSink(format: TextFormat): Sink<unknown> {
  return {
    sink: {
      kind: 'stdout',
      label: `stdout (${format.format})`,
      ...format,
      withFormat: (other) => stdoutSink({ ...format, ...other }),
      open: async () => (await import('./sinks/stdout.ts')).openStdout(format),
      openTask: async () => (await import('./sinks/stdout.ts')).openStdoutTask(format),
    },
  }
}
