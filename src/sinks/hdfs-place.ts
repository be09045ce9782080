import { createHash } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HdfsConnection } from '../connections/hdfs.ts'
import { isPassing } from '../connections/hdfs-errors.ts'
import { MillraceError } from '../core/errors.ts'
import { faultPoint } from '../core/fault-point.ts'
import type { FilePlace } from './file-place.ts'
import { packerFor } from './packing.ts'

/** A file whose writer or datanode died is open for so long; then anybody may add to it. */
const LEASE_MS = 60_000
const MOST_TRIES = 4
const WAIT_MS = 300

/** Files in HDFS. A closed file is as durable as HDFS makes it: on every datanode that should have it. */
export function hdfsPlace(connection: HdfsConnection): FilePlace {
  const size = async (path: string): Promise<number | undefined> => (await connection.stat(path))?.bytes
  const copyFirst = async (from: string, to: string, bytes: number, more: Uint8Array = NOTHING): Promise<void> => {
    await connection.again(async () => {
      async function* both(): AsyncGenerator<Uint8Array> {
        if (bytes > 0) yield* connection.read(from, { length: bytes })
        if (more.byteLength > 0) yield more
      }
      await connection.createFrom(to, Readable.from(both(), { objectMode: false }))
    })
    if ((await size(to)) !== bytes + more.byteLength)
      throw new MillraceError(
        'MLR_ERR_OUTPUT_WRITE',
        `${connection.label}${to} has ${await size(to)} bytes, and ${bytes + more.byteLength} were written`,
      )
  }
  return {
    name: (path) => `${connection.label}${path}`,
    makeFolder: (path) => connection.makeFolder(path),
    list: async (folder) => ((await connection.list(folder)) ?? []).map(({ name }) => name),
    size,
    read: async (path) => (await connection.readWhole(path))?.toString('utf8'),
    write: (path, text) => connection.create(path, Buffer.from(text)),
    append: async (path, at, text) => {
      const bytes = Buffer.from(text)
      if (at === 0) return connection.create(path, bytes)
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const length = await size(path)
        if (length === undefined) break
        if (length >= at + bytes.length) return
        // Less than it should have: its writer's end has not reached the namenode.
        if (length < at) await sleep(WAIT_MS)
        else {
          try {
            // The rest of it, where an attempt had come to a part.
            await connection.append(path, bytes.subarray(length - at))
          } catch (error) {
            if (!isPassing(error)) throw error
            await sleep(WAIT_MS)
          }
        }
      }
      if ((await size(path)) === at + bytes.length) return
      // It is held by a writer that is no more: what is surely in it goes to a new file that takes its name.
      const anew = path.replace(/\.([^.]+)\.tmp$/, '.anew.$1.tmp')
      await copyFirst(path, anew, at, bytes)
      faultPoint('written anew')
      await connection.rename(anew, path, 'replace')
    },
    sync: async () => {},
    copyFirst,
    pack: async (from, to, name) => {
      await connection.again(async () => {
        const packer = packerFor(name) ?? new PassThrough()
        const body = Readable.from(connection.read(from), { objectMode: false })
        body.on('error', (error) => packer.destroy(error))
        await connection.createFrom(to, body.pipe(packer))
      })
    },
    replace: async (from, to) => {
      const before = await connection.stat(from)
      const answer = await connection.rename(from, to, 'replace')
      if (answer === 'done') return
      if (answer === 'exists')
        throw new MillraceError('MLR_ERR_OUTPUT_EXISTS', `${connection.label}${to} is a folder — name a file`)
      // The answer may have been lost: then it is there under its new name.
      if (before !== undefined && (await connection.stat(to))?.id === before.id) return
      throw new MillraceError(
        'MLR_ERR_OUTPUT_WRITE',
        `${connection.label}${from} can't be renamed to ${to}: it is not there — something else has removed it`,
      )
    },
    reveal: async (from, to) => {
      const before = await connection.stat(from)
      const answer = await connection.rename(from, to, 'never')
      if (answer === 'done') return true
      const there = await connection.stat(to)
      if (there !== undefined) return before !== undefined && there.id === before.id
      throw new MillraceError(
        'MLR_ERR_OUTPUT_WRITE',
        `${connection.label}${from} can't be renamed to ${to}: it is not there — something else has removed it`,
      )
    },
    sameBytes: async (a, b) => {
      if ((await size(a)) !== (await size(b))) return false
      const hashOf = async (path: string): Promise<string> => {
        const hash = createHash('sha256')
        for await (const chunk of connection.read(path)) hash.update(chunk)
        return hash.digest('hex')
      }
      return (await hashOf(a)) === (await hashOf(b))
    },
    remove: (path) => connection.remove(path),
    mayGrow: async (path) => {
      const until = performance.now() + LEASE_MS + 30_000
      const before = (await size(path)) ?? 0
      connection.say(`${path} was left open by a writer that is gone: HDFS closes it within a minute; waiting for that`)
      while (performance.now() < until) {
        // To add nothing makes the namenode look after a writer that is gone.
        await connection.append(path, NOTHING).catch(() => {})
        if (((await size(path)) ?? 0) > before) return true
        await sleep(1000)
      }
      return false
    },
    close: async () => {},
  }
}

const NOTHING = new Uint8Array()
