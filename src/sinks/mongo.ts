import { type AnyBulkWriteOperation, type Collection, MongoBulkWriteError } from 'mongodb'
import { isDuplicate, MongoConnection, type MongoConnectionOptions } from '../connections/mongo.ts'
import { isMillraceError, MillraceError, show } from '../core/errors.ts'
import { faultPoint } from '../core/fault-point.ts'
import { Pieces } from '../core/pieces.ts'
import { documentOf, type Id, idOf, linesOf, numberOf } from './mongo-documents.ts'
import type { SinkWriter, Takeover, TaskSink, TaskSinkOptions, Version } from './sink.ts'

export interface MongoSinkOptions extends MongoConnectionOptions {
  readonly collection: string
  /** As MongoDB's own index keys: `{ click_count: -1 }`. */
  readonly indexes?: readonly Readonly<Record<string, 1 | -1>>[]
}

interface Document {
  readonly _id: Id
  /** The version that wrote a row. */
  readonly _v?: number
  /** The row is gone: since when. */
  readonly _gone?: Date
}

interface SinkRecord {
  readonly _id: string
  readonly pipeline: string
  readonly version: Version
  readonly v: number
}

const RECORDS = 'millrace_sinks'
/** Writes of a bulk, and bulks in flight. */
const [BULK, IN_FLIGHT] = [1000, 3]
/** A write that comes later than this to a row that is not there is a ghost's: its tombstone may have gone. */
const DEADLINE_MS = 3_600_000
const TOMBSTONE_SECONDS = 24 * 3600

/** A collection that holds rows or events of a pipeline. */
class MongoTable {
  readonly #options: MongoSinkOptions
  readonly #connection: MongoConnection
  readonly #over: TaskSinkOptions['over']
  readonly #removes: boolean
  readonly #pipeline: string

  constructor(
    connection: MongoConnection,
    options: MongoSinkOptions,
    { over, removes, pipeline }: Pick<TaskSinkOptions, 'over' | 'removes' | 'pipeline'>,
  ) {
    this.#connection = connection
    this.#options = options
    this.#over = over
    this.#removes = removes
    this.#pipeline = pipeline
  }

  get #name(): string {
    return this.#options.collection
  }

  async recorded(): Promise<{ readonly pipeline: string; readonly version: Version } | undefined> {
    const record = await this.#connection.again((db) => db.collection<SinkRecord>(RECORDS).findOne({ _id: this.#name }))
    // Only claimed: nothing was published completely, so everything is still owed.
    if (record?.version.generation === 0 && record.pipeline === this.#pipeline) return undefined
    if (record !== null) return { pipeline: record.pipeline, version: record.version }
    const foreign = await this.#connection.again((db) => db.collection<Document>(this.#name).findOne({}))
    if (foreign === null) return undefined
    throw new MillraceError(
      'MLR_ERR_CHECKPOINT_REFUSED',
      `the collection '${this.#name}' of ${this.#connection.label} is there and was not made by Millrace — name another`,
    )
  }

  /** Says whose it is, before anything is written: else rows of a first publish that was cut off would look like somebody else's. */
  claim(): Promise<void> {
    return this.record(this.#pipeline, { generation: 0, number: 0 })
  }

  /** Indexes, and what a former generation has left. */
  async begin({ generation }: Version): Promise<void> {
    const { indexes = [] } = this.#options
    const keys = indexes.map((key) => ({ key }))
    await this.#connection.again(async (db) => {
      const rows = db.collection<Document>(this.#name)
      if (keys.length > 0) await rows.createIndexes(keys)
      if (this.#over === 'stream') return
      if (this.#removes || generation > 1)
        await rows.createIndex({ _gone: 1 }, { expireAfterSeconds: TOMBSTONE_SECONDS, sparse: true })
    })
    const before = await this.recorded()
    if (before === undefined ? generation === 1 : before.version.generation >= generation) return
    const first = numberOf({ generation, number: 0 })
    await this.#connection.again(async (db): Promise<unknown> => {
      const rows = db.collection<Document>(this.#name)
      if (this.#over === 'stream') return rows.deleteMany({})
      // Not deleted: a late write of the former generation must find that it comes too late.
      return rows.updateMany({ $or: [{ _v: { $lt: first } }, { _v: { $exists: false } }] }, [
        { $replaceWith: { _id: '$_id', _v: first, _gone: '$$NOW' } },
      ])
    })
  }

  /** Rows, by `[id, row or null]`; each is written if its version is greater than the one that is there. Returns how many came too late. */
  async putRows(
    rows: readonly (readonly [Id, object | null])[],
    v: number,
    deadline: Date | undefined,
  ): Promise<number> {
    const operations = rows.map(([_id, row]): AnyBulkWriteOperation<Document> => {
      const next =
        row === null ? { _id: { $literal: _id }, _v: v, _gone: '$$NOW' } : { $literal: { _id, ...row, _v: v } }
      const newer = { $lt: ['$_v', v] }
      const guarded =
        deadline === undefined
          ? { $cond: [newer, next, '$$ROOT'] }
          : {
              $cond: [
                { $and: [newer, { $lte: ['$$NOW', deadline] }] },
                next,
                // Too late, and nothing is there: a mark that is cleared away, without a version.
                {
                  $cond: [{ $eq: [{ $type: '$_v' }, 'missing'] }, { _id: { $literal: _id }, _gone: '$$NOW' }, '$$ROOT'],
                },
              ],
            }
      return { updateOne: { filter: { _id }, update: [{ $replaceWith: guarded }], upsert: true } }
    })
    return this.#connection.again(async (db, tries) => {
      const result = await db.collection<Document>(this.#name).bulkWrite(operations, { ordered: false })
      return tries > 0 ? 0 : result.matchedCount - result.modifiedCount
    })
  }

  /** Events by their ids; one that is there is this one. */
  async putEvents(events: readonly (object & { readonly _id: Id })[]): Promise<void> {
    await this.#connection.again(async (db) => {
      try {
        await db.collection<Document>(this.#name).insertMany(events as Document[], { ordered: false })
      } catch (error) {
        if (isDuplicate(error)) return
        const errors = error instanceof MongoBulkWriteError ? [error.writeErrors].flat() : []
        if (errors.length === 0 || errors.some(({ code }) => code !== 11000)) throw error
      }
    })
  }

  async record(pipeline: string, version: Version): Promise<void> {
    const record: SinkRecord = { _id: this.#name, pipeline, version, v: numberOf(version) }
    await this.#connection.again((db) =>
      db
        .collection<SinkRecord>(RECORDS)
        .updateOne(
          { _id: this.#name },
          [{ $replaceWith: { $cond: [{ $lt: ['$v', record.v] }, { $literal: record }, '$$ROOT'] } }],
          { upsert: true },
        ),
    )
  }

  collection(): Collection<Document> {
    return this.#connection.database.collection<Document>(this.#name)
  }

  close(): Promise<void> {
    return this.#connection.close()
  }
}

/** As a part of a task: exactly once. */
export async function openMongoTask(
  options: MongoSinkOptions,
  task: TaskSinkOptions,
  say: (line: string) => void,
): Promise<TaskSink> {
  const connection = await MongoConnection.open(options, say)
  const table = new MongoTable(connection, options, task)
  let takeover: Takeover | undefined
  let prepared = Date.now()
  const putRows = async (lines: readonly string[], version: Version): Promise<void> => {
    const late = task.removes || version.generation > 1
    const rows = lines.map((line) => JSON.parse(line) as readonly [Id, object | null])
    // Writes are dated when they were committed, not when they are sent: who was paused meanwhile must not date them anew.
    let deadline = prepared + DEADLINE_MS
    for (;;) {
      const stale = await table.putRows(rows, numberOf(version), late ? new Date(deadline) : undefined)
      const isOwn = takeover !== undefined && numberOf(version) > numberOf(takeover.version)
      if (stale > 0 && isOwn) {
        await takeover?.stillOwner()
        throw new MillraceError(
          'MLR_ERR_OUTPUT_WRITE',
          `${stale} rows of the collection ${show(options.collection)} have a newer version than this checkpoint: something else writes there`,
        )
      }
      if (!late || Date.now() < deadline - DEADLINE_MS / 2) return
      await takeover?.stillOwner()
      deadline = Date.now() + DEADLINE_MS
    }
  }
  return {
    promise: 'exactly once',
    keepsRecord: true,
    wantsLineage: task.over === 'stream',
    recorded: () => table.recorded(),
    begin: async (given) => {
      takeover = given
      prepared = Date.now()
      await table.claim()
      await table.begin(given.version)
    },
    prepare: (outputs) => {
      prepared = Date.now()
      const lines = new Pieces()
      for (const output of outputs)
        for (const line of linesOf(output, takeover?.version.generation ?? 1)) lines.add(`${line}\n`)
      return lines.end()
    },
    publish: async (version, pieces) => {
      let written = 0
      const chunks: string[][] = []
      for (const piece of pieces) {
        const lines = piece.split('\n')
        lines.pop()
        written += lines.length
        for (let at = 0; at < lines.length; at += BULK) chunks.push(lines.slice(at, at + BULK))
      }
      const put =
        task.over === 'table'
          ? (lines: readonly string[]) => putRows(lines, version)
          : (lines: readonly string[]) => table.putEvents(lines.map((line) => JSON.parse(line) as { _id: Id }))
      // One key may come twice (in two bulks), but never in one checkpoint.
      const waiting = chunks.values()
      const worker = async (): Promise<void> => {
        for (const lines of waiting) await put(lines)
      }
      try {
        await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, chunks.length) }, worker))
      } catch (error) {
        if (isMillraceError(error, 'MLR_ERR_FENCED')) throw error
        await takeover?.stillOwner()
        throw error
      }
      faultPoint('rows written')
      await table.record(task.pipeline, version)
      return written
    },
    close: () => table.close(),
  }
}

/** Without checkpoints: rows replace those of their keys, events are added, as they come. */
export async function openMongo(
  options: MongoSinkOptions,
  say: (line: string) => void = () => {},
): Promise<SinkWriter> {
  const connection = await MongoConnection.open(options, say)
  const table = new MongoTable(connection, options, { over: 'table', removes: false, pipeline: '' })
  const before = await table.recorded()
  if (before !== undefined && before.pipeline !== '') {
    await table.close()
    throw new MillraceError(
      'MLR_ERR_CHECKPOINT_REFUSED',
      `the collection ${show(options.collection)} belongs to the checkpoints of '${before.pipeline}': run it with checkpoints, or name another`,
    )
  }
  await table.record('', { generation: 1, number: 1 })
  await table.begin({ generation: 1, number: 1 })
  return {
    write: async (output) => {
      if (output.kind === 'events') {
        if (output.values.length > 0) await table.collection().insertMany(output.values.map(documentOf) as never[])
        return
      }
      const operations = output.changes.map(({ key, index, value }): AnyBulkWriteOperation<Document> => {
        const _id = idOf(key, index)
        if (value === undefined) return { deleteOne: { filter: { _id } } }
        return { replaceOne: { filter: { _id }, replacement: documentOf(value) as Document, upsert: true } }
      })
      for (let at = 0; at < operations.length; at += BULK)
        await connection.again((db) =>
          db.collection<Document>(options.collection).bulkWrite(operations.slice(at, at + BULK), { ordered: false }),
        )
    },
    close: () => table.close(),
    abort: () => table.close(),
  }
}
