import { createReadStream } from 'node:fs'
import { glob, readdir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { compareBytes } from '../core/canonical.ts'
import { MillraceError, reasonOf, show } from '../core/errors.ts'
import { bunzip2 } from './bzip2.ts'

export interface InputFile {
  readonly path: string
  /** On the disk, compressed or not. */
  readonly bytes: number
  readonly compression: 'gzip' | 'zstd' | 'bzip2' | undefined
  /** A pipe, a device: its size says nothing. */
  readonly regular: boolean
  /**
   * Device, inode and time of birth: a file that was renamed is the same one, another file under its name is not, nor is one that was given
   * the inode of a file that was deleted. (Where the file system knows no time of birth it is 0.)
   */
  readonly identity: string
  /** Where it does not lie on a local disk: its bytes from one on. */
  readonly open?: (start: number) => RawInput
}

/** The bytes of a file as they lie there, and how many of them have come. */
export interface RawInput extends Readable {
  readonly bytesRead: number
}

/** Reads this much at a time: below it the calls show in the profile, above it only the memory does. */
export const READ_BYTES = 256 * 1024

/**
 * The files that a path stands for: a file, a folder (its files, without those in folders below and without names that begin with `_`
 * or `.`, as Hadoop reads them), or a glob. In the order of their names' bytes.
 */
export async function findInputFiles(path: string): Promise<readonly InputFile[]> {
  if (path === '') throw new MillraceError('MLR_ERR_INPUT_MISSING', 'the path of an input is empty')
  const itself = await look(path)
  if (itself !== undefined && !itself.directory) return [inputFile(path, itself)]
  const names = itself === undefined ? await expand(path) : await filesIn(path)
  const files: InputFile[] = []
  for (const name of names.sort(compareBytes)) {
    const found = await look(name)
    if (found !== undefined && !found.directory) files.push(inputFile(name, found))
  }
  if (files.length > 0) return files
  if (itself !== undefined)
    throw new MillraceError('MLR_ERR_INPUT_MISSING', `the folder ${show(path)} holds no files to read`)
  if (isGlob(path)) throw new MillraceError('MLR_ERR_INPUT_MISSING', `no file matches ${show(path)}`)
  throw new MillraceError('MLR_ERR_INPUT_MISSING', `there is no file or folder ${show(path)}`)
}

/** The bytes of a file, unpacked by its suffix, from a byte on where it is not compressed. */
export async function* readInputFile(
  file: InputFile,
  options: { readonly start?: number; readonly opened?: (stream: RawInput) => void } = {},
): AsyncGenerator<Buffer> {
  const start = options.start ?? 0
  const raw: RawInput = file.open?.(start) ?? createReadStream(file.path, { highWaterMark: READ_BYTES, start })
  options.opened?.(raw)
  if (file.compression === undefined) {
    try {
      for await (const chunk of raw) yield chunk as Buffer
    } catch (error) {
      throw unreadable(file.path, error)
    }
    return
  }
  const unpack = unpacked(raw, file.compression)
  let failedToRead: unknown
  raw.on('error', (error) => {
    failedToRead = error
    unpack.destroy(error)
  })
  raw.on('close', () => {
    // Stopped before its end: whoever reads the unpacked bytes must not wait for more.
    if (!raw.readableEnded) unpack.destroy()
  })
  let count = 0
  try {
    for await (const chunk of unpack) {
      count += (chunk as Buffer).length
      yield chunk as Buffer
    }
  } catch (error) {
    if (failedToRead !== undefined) throw unreadable(file.path, failedToRead)
    throw new MillraceError(
      'MLR_ERR_INPUT_COMPRESSED',
      `${file.path} is damaged or cut short: ${reasonOf(error)} after ${count} unpacked bytes — the file must be copied anew`,
      { cause: error },
    )
  } finally {
    raw.destroy()
  }
}

function unpacked(raw: Readable, compression: NonNullable<InputFile['compression']>): Readable {
  if (compression === 'bzip2') return bunzip2(raw)
  const options = { chunkSize: READ_BYTES }
  return raw.pipe(compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options))
}

export function unreadable(path: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  return new MillraceError('MLR_ERR_INPUT_READ', `cannot read ${path}: ${reasonOf(error)}`, { cause: error })
}

interface Found {
  readonly bytes: number
  readonly directory: boolean
  readonly regular: boolean
  readonly identity: string
}

async function look(path: string): Promise<Found | undefined> {
  try {
    const found = await stat(path, { bigint: true })
    const identity = `${found.dev}:${found.ino}:${found.birthtimeNs}`
    return { bytes: Number(found.size), directory: found.isDirectory(), regular: found.isFile(), identity }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ENOTDIR')
      return undefined
    throw unreadable(path, error)
  }
}

function inputFile(path: string, { bytes, regular, identity }: Found): InputFile {
  return { path, bytes, compression: compressionOf(path), regular, identity }
}

const COMPRESSIONS: Readonly<Record<string, InputFile['compression']>> = {
  '.gz': 'gzip',
  '.zst': 'zstd',
  '.bz2': 'bzip2',
}

/** As a file's suffix tells it. */
export function compressionOf(path: string): InputFile['compression'] {
  return COMPRESSIONS[extname(path).toLowerCase()]
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter(isVisible).map((name) => join(folder, name))
  } catch (error) {
    throw unreadable(folder, error)
  }
}

export function isGlob(path: string): boolean {
  return /[*?[{]/.test(path)
}

/** Hadoop, too, passes over names that begin with `_` or `.`. */
export function isVisible(name: string): boolean {
  return !/^[._]/.test(name)
}

async function expand(pattern: string): Promise<string[]> {
  if (!isGlob(pattern)) return []
  const names: string[] = []
  for await (const name of glob(pattern)) names.push(name)
  return names
}
