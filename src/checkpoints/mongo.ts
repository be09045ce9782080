import { randomUUID } from 'node:crypto'
import { Binary } from 'mongodb'
import { isDuplicate, MongoConnection, type MongoConnectionOptions } from '../connections/mongo.ts'
import { damaged } from './sealed.ts'
import type { CheckpointStore } from './store.ts'

const COLLECTION = 'millrace_checkpoints'
/** A document holds 16 MiB at most; pieces of this size are written fastest. */
const CHUNK_BYTES = 8 * 1024 * 1024

interface Blob {
  readonly _id: string
  readonly bytes?: Binary
  /** A large one lies in pieces; they are there before it is. */
  readonly chunks?: readonly string[]
}

/** Checkpoints of a pipeline in a MongoDB database: a blob is a document whose id is its name, so only one can make it. */
export async function openMongoStore(
  options: MongoConnectionOptions,
  pipeline: string,
  say: (line: string) => void = () => {},
): Promise<CheckpointStore> {
  const connection = await MongoConnection.open(options, say)
  const prefix = `${pipeline}/`
  const run = <T>(what: (blobs: ReturnType<typeof blobsOf>) => Promise<T>): Promise<T> =>
    connection.again((database) => what(blobsOf(database)))
  const range = { _id: { $gte: prefix, $lt: `${pipeline}0` } }

  const insert = (blob: Blob): Promise<boolean> =>
    run(async (blobs) => {
      try {
        await blobs.insertOne(blob)
        return true
      } catch (error) {
        if (isDuplicate(error)) return false
        throw error
      }
    })
  const remove = (ids: readonly string[]): Promise<unknown> =>
    ids.length === 0 ? Promise.resolve() : run((blobs) => blobs.deleteMany({ _id: { $in: [...ids] } }))
  const ids = async (): Promise<readonly string[]> =>
    (await run((blobs) => blobs.find(range, { projection: { _id: 1 } }).toArray())).map(({ _id }) =>
      _id.slice(prefix.length),
    )

  return {
    label: `${connection.label} (${COLLECTION})`,
    create: async (name, bytes) => {
      const _id = `${prefix}${name}`
      if (bytes.byteLength <= CHUNK_BYTES) return insert({ _id, bytes: new Binary(bytes) })
      const attempt = randomUUID().slice(0, 8)
      const chunks: string[] = []
      for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES) {
        const chunk = `${_id}#${attempt}#${String(chunks.length).padStart(4, '0')}`
        chunks.push(chunk)
        await insert({ _id: chunk, bytes: new Binary(bytes.subarray(at, at + CHUNK_BYTES)) })
      }
      if (await insert({ _id, chunks })) return true
      await remove(chunks)
      return false
    },
    read: async (name) => {
      const blob = await run((blobs) => blobs.findOne({ _id: `${prefix}${name}` }))
      if (blob === null) return undefined
      if (blob.chunks === undefined) return (blob.bytes as Binary).buffer
      const pieces: Uint8Array[] = []
      for (const chunk of blob.chunks) {
        const piece = await run((blobs) => blobs.findOne({ _id: chunk }))
        if (piece === null) throw damaged(name, `its piece ${chunk} is not there`)
        pieces.push((piece.bytes as Binary).buffer)
      }
      return Buffer.concat(pieces)
    },
    list: async () => (await ids()).filter((name) => !name.includes('#')),
    delete: async (name) => {
      const _id = `${prefix}${name}`
      const blob = await run((blobs) => blobs.findOneAndDelete({ _id }, { projection: { chunks: 1 } }))
      await remove(blob?.chunks ?? [])
    },
    removeTemporaries: async () => {
      const all = await ids()
      const whole = new Set(all.filter((name) => !name.includes('#')))
      const left = all.filter((name) => name.includes('#') && !whole.has(name.slice(0, name.indexOf('#'))))
      await remove(left.map((name) => `${prefix}${name}`))
    },
    close: () => connection.close(),
  }
}

function blobsOf(database: MongoConnection['database']) {
  return database.collection<Blob>(COLLECTION)
}
