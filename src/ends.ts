import type { CheckpointStore } from './checkpoints/store.ts'
import type { KafkaCompression } from './connections/kafka-producer.ts'
import type { MongoConnectionOptions } from './connections/mongo.ts'
import { MillraceError, show } from './core/errors.ts'
import { type FileSinkOptions, type LineSourceOptions, type TextSinkOptions, textFormat } from './ends/text.ts'
import type { TextFormat } from './formats/format.ts'
import { mistakeIn } from './sinks/event-files.ts'
import type { KafkaSinkOptions } from './sinks/kafka.ts'
import type { MongoSinkOptions } from './sinks/mongo.ts'
import type { Sink } from './sinks/sink.ts'
import type { SqliteOptions } from './sinks/sqlite-table.ts'
import type { ClicksOptions } from './sources/clicks.ts'
import type { KafkaSourceOptions } from './sources/kafka-positions.ts'
import type { Source } from './sources/source.ts'

export { type HdfsOptions, hdfs, hdfsConnection, hdfsFiles, hdfsStore } from './ends/hdfs.ts'
export type { FileSinkOptions, LineSourceOptions, TextSinkOptions } from './ends/text.ts'

/**
 * A file, as source or sink.
 *
 * Source: lines as strings. The path may be a file, a folder (its files, without names that begin with `_` or `.`) or a glob; `.gz`,
 * `.bz2` and `.zst` are unpacked. `record.position` is `{ line, offset }`. Bounded. A line that is not valid UTF-8 is skipped and counted.
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

/**
 * A Kafka topic, as source or sink.
 *
 * Source (one or more topics): the values of its records as text, with `record.key`, `headers`, `timestamp`, `partition` ('topic/0') and
 * `position` (the offset). Read committed; without end (`--until-end` ends it where the end is now). A record without a value, or whose value
 * is not valid UTF-8, is skipped and counted; batches packed by gzip, snappy, lz4 or zstd are unpacked. With checkpoints the positions are in them; the consumer group decides who works: one process reads all
 * partitions, others stand by. A position that is gone (retention, a topic that was made anew) stops the run unless `onGone` says to go on.
 *
 * Sink (one topic): texts and bytes as they are, other values as JSON; rows of a table by their key, one that went away as a tombstone.
 * Partitions as Java's producer chooses them. With checkpoints each is one transaction: exactly once for readers of what is committed.
 *
 * @example
 * ```ts no-run
 * const texts = from(kafka({ topic: 'clickstream-data', brokers: ['127.0.0.1:9092'] })) // Stream<string>
 * ```
 */
export function kafka(options: KafkaOptions): Source<string> & Sink<unknown> {
  const { topic, key, headers, compression = 'none', start, group, onGone, ...connection } = options
  const topics = typeof topic === 'string' ? [topic] : topic
  if (!Array.isArray(topics) || topics.length === 0 || topics.some((name) => typeof name !== 'string' || name === ''))
    throw new MillraceError('MLR_ERR_PLAN', `kafka takes { topic }, a name or several; got ${show(topic)}`)
  if (!COMPRESSIONS.includes(compression))
    throw new MillraceError(
      'MLR_ERR_PLAN',
      `kafka: compression is ${COMPRESSIONS.join(', ')}; got ${show(compression)}`,
    )
  const where = connection.brokers === undefined ? '' : ` at ${connection.brokers.join(',')}`
  const label = `kafka ${topics.join(', ')}${where}`
  const source = {
    ...connection,
    topics,
    ...(start === undefined ? {} : { start }),
    ...(group === undefined ? {} : { group }),
    ...(onGone === undefined ? {} : { onGone }),
  }
  const sink = {
    ...connection,
    topic: topics[0] as string,
    compression,
    ...(key === undefined ? {} : { key }),
    ...(headers === undefined ? {} : { headers }),
  }
  const oneTopic = (): typeof sink => {
    if (topics.length === 1) return sink
    throw new MillraceError('MLR_ERR_PLAN', `kafka: a sink has one topic; got ${topics.join(', ')}`)
  }
  return {
    source: {
      kind: 'kafka',
      label,
      bounded: false,
      textLines: true,
      resumable: true,
      claim: async (claiming) => (await import('./sources/kafka.ts')).claimKafka(source, claiming),
      open: async (opening) => (await import('./sources/kafka.ts')).openKafkaSource(source, opening),
    },
    sink: {
      kind: 'kafka',
      label,
      format: 'json',
      open: async () => (await import('./sinks/kafka.ts')).openKafkaSink(oneTopic()),
      openTask: async (task) => (await import('./sinks/kafka.ts')).openKafkaTask(oneTopic(), task),
    },
  }
}

const COMPRESSIONS: readonly KafkaCompression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

export interface KafkaOptions extends Omit<KafkaSourceOptions, 'topics'>, Omit<KafkaSinkOptions, 'topic'> {
  /** One, or as a source several. */
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

function withDatabase(url: string, database: string): string {
  const [head = '', query] = url.split('?')
  const host = head.replace(/^(mongodb(?:\+srv)?:\/\/[^/]+).*$/, '$1')
  return `${host}/${encodeURIComponent(database)}${query === undefined ? '' : `?${query}`}`
}

/** Checkpoints in a folder of a local disk. */
export async function directoryStore(folder: string): Promise<CheckpointStore> {
  return (await import('./checkpoints/directory.ts')).openDirectoryStore(folder)
}

/** Checkpoints of a pipeline in a MongoDB database. */
export async function mongoStore(
  options: MongoConnectionOptions,
  pipeline: string,
  say: (line: string) => void,
): Promise<CheckpointStore> {
  return (await import('./checkpoints/mongo.ts')).openMongoStore(options, pipeline, say)
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
