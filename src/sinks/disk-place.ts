import { createReadStream, createWriteStream } from 'node:fs'
import { link, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { faultPoint } from '../core/fault-point.ts'
import { syncPath } from '../core/sync.ts'
import type { FilePlace } from './file-place.ts'
import { packerFor } from './packing.ts'

/** Files on a local disk. */
export const DISK: FilePlace = {
  name: (path) => path,
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true })
  },
  list: (folder) => readdir(folder),
  size: async (path) => (await unlessMissing(() => stat(path)))?.size,
  read: (path) => unlessMissing(() => readFile(path, 'utf8')),
  write: (path, text) => writeFile(path, text),
  append: async (path, at, text) => {
    const file = await openAt(path, at)
    try {
      const bytes = Buffer.from(text)
      // A disk that fills takes a part of it without an error; the rest then has one.
      for (let done = 0; done < bytes.length; )
        done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten
    } finally {
      await file.close()
    }
  },
  sync: async (paths, folder) => {
    for (const path of paths) await syncPath(path)
    await syncPath(folder)
  },
  copyFirst: async (from, to, bytes) => {
    const source = bytes === 0 ? Readable.from([]) : createReadStream(from, { end: bytes - 1 })
    await pipeline(source, createWriteStream(to, { flush: true }))
  },
  pack: async (from, to, name) => {
    const packer = packerFor(name) ?? new PassThrough()
    await pipeline(createReadStream(from), packer, createWriteStream(to, { flush: true }))
  },
  replace: rename,
  reveal: async (from, to) => {
    try {
      await link(from, to)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false
      throw error
    }
    faultPoint('between link and unlink')
    await rm(from, { force: true })
    return true
  },
  sameBytes,
  remove: (path) => rm(path, { force: true }),
  mayGrow: async () => false,
  close: async () => {},
}

/** For writing from a byte on; at its beginning a file is made anew. */
async function openAt(path: string, at: number): ReturnType<typeof open> {
  return open(path, at > 0 ? 'r+' : 'w')
}

async function unlessMissing<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}

async function sameBytes(a: string, b: string): Promise<boolean> {
  if ((await stat(a)).size !== (await stat(b)).size) return false
  const [left, right] = [await open(a), await open(b)]
  try {
    const [x, y] = [Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)]
    for (;;) {
      const { bytesRead } = await left.read(x)
      if (bytesRead === 0) return true
      await right.read(y, 0, bytesRead)
      if (Buffer.compare(x.subarray(0, bytesRead), y.subarray(0, bytesRead)) !== 0) return false
    }
  } finally {
    await left.close()
    await right.close()
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code
}
