import { setTimeout as sleep } from 'node:timers/promises'
import { isMillraceError, MillraceError } from '../core/errors.ts'
import type { Batch, LinePosition } from '../core/record.ts'
import { frameLines } from '../formats/lines.ts'
import { type InputFile, type RawInput, readInputFile } from './input-files.ts'
import type { SourceOptions, SourceReader } from './source.ts'

export interface FilesOptions extends SourceOptions {
  /** The files, in their order; asked again and again where a folder is followed. */
  readonly find: () => Promise<readonly InputFile[]>
  /** How often a folder that is followed is looked at. */
  readonly lookMs: number
  readonly maxLineBytes?: number | undefined
  /** How many of the files that come next are opened already while one is read: what takes long to open, and is short, is waited for at once. */
  readonly ahead?: number
}

/**
 * Reads files as lines: one after the other, each a partition, in the order of their names' bytes. With positions it goes on where they
 * say; with `follow` it waits for new lines and new files, and takes whole lines only.
 */
export async function readFiles(options: FilesOptions): Promise<SourceReader> {
  const files = await options.find().catch((error: unknown) => {
    if (options.follow === true && isMillraceError(error, 'MLR_ERR_INPUT_MISSING')) return []
    throw error
  })
  for (const file of files) refuseTruncated(file, positionIn(options, file))
  return new FileReader(files, options)
}

class FileReader implements SourceReader {
  readonly #options: FilesOptions
  readonly #totalBytes: number
  readonly #stop = new AbortController()
  readonly #resumes: boolean
  /** By identity: where the next line starts. */
  readonly #positions = new Map<string, LinePosition>()
  /** Packed files that were read to their end, with their size then: to look again means to unpack them again. */
  readonly #unpacked = new Map<string, number>()
  #files: readonly InputFile[]
  #doneBytes = 0
  #current: RawInput | undefined
  /** By identity: files that come next, opened from a byte on. */
  readonly #ahead = new Map<string, { readonly start: number; readonly raw: RawInput }>()

  constructor(files: readonly InputFile[], options: FilesOptions) {
    this.#files = files
    this.#options = options
    this.#resumes = options.follow === true || options.positions !== undefined
    this.#totalBytes = files.reduce((sum, file) => sum + file.bytes, 0)
    for (const [identity, position] of Object.entries(options.positions ?? {}))
      this.#positions.set(identity, position as LinePosition)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    try {
      for (;;) {
        for (const [i, file] of this.#files.entries()) {
          if (this.#stop.signal.aborted) return
          this.#openAhead(i)
          yield* this.#read(file)
        }
        if (this.#options.follow !== true) return
        await sleep(this.#options.lookMs, undefined, { signal: this.#stop.signal }).catch(() => {})
        if (this.#stop.signal.aborted) return
        await this.#lookAgain()
      }
    } finally {
      for (const { raw } of this.#ahead.values()) raw.destroy()
    }
  }

  progress(): { doneBytes: number; totalBytes: number } {
    return {
      doneBytes: this.#doneBytes + (this.#current?.bytesRead ?? 0),
      totalBytes: this.#options.follow === true ? 0 : this.#totalBytes,
    }
  }

  stop(): void {
    this.#stop.abort()
    this.#current?.destroy()
  }

  /** What is left to read of a file, as bytes to begin at; undefined where nothing is. */
  #startOf(file: InputFile): number | undefined {
    const from = this.#positions.get(file.identity)
    if (file.compression !== undefined)
      return this.#resumes && this.#unpacked.get(file.identity) === file.bytes ? undefined : 0
    return from !== undefined && from.offset === file.bytes ? undefined : (from?.offset ?? 0)
  }

  #openAhead(current: number): void {
    const { ahead = 0 } = this.#options
    for (const file of this.#files.slice(current, current + 1 + ahead)) {
      const start = this.#startOf(file)
      // A plain run reads a file as often as it is named.
      if (start === undefined || file.open === undefined || this.#ahead.has(file.identity)) continue
      const raw = file.open(start)
      // It may fail before anybody reads it; who does is told.
      raw.on('error', () => {})
      raw.read(0)
      this.#ahead.set(file.identity, { start, raw })
    }
  }

  /** The file as it was opened ahead, if it was opened where it is read now. */
  #opened(file: InputFile): InputFile {
    const found = this.#ahead.get(file.identity)
    if (found === undefined) return file
    this.#ahead.delete(file.identity)
    return {
      ...file,
      open: (start) => {
        if (start === found.start && !found.raw.destroyed) return found.raw
        found.raw.destroy()
        return file.open?.(start) as RawInput
      },
    }
  }

  async *#read(file: InputFile): AsyncGenerator<Batch> {
    const { name, maxLineBytes, follow = false } = this.#options
    const from = this.#positions.get(file.identity)
    refuseTruncated(file, from)
    const opened = (stream: RawInput): void => {
      this.#current = stream
    }
    const packed = file.compression !== undefined
    const start = this.#startOf(file)
    if (start === undefined) {
      if (!packed) this.#doneBytes += file.bytes
      return
    }
    const found = this.#opened(file)
    const bytes = packed
      ? skip(readInputFile(found, { opened }), from?.offset ?? 0)
      : readInputFile(found, { opened, start })
    try {
      const blocks = frameLines(bytes, {
        source: name,
        partition: file.path,
        identity: file.identity,
        offset: from?.offset ?? 0,
        ...(from?.line === undefined ? {} : { line: from.line }),
        wholeLinesOnly: follow && !packed,
        ...(maxLineBytes === undefined ? {} : { maxLineBytes }),
      })
      for await (const block of blocks) {
        yield block
        // A plain run reads a file as often as it is named; one that resumes knows it by its identity, and reads it once.
        if (this.#resumes && block.resume !== undefined) this.#positions.set(file.identity, block.resume.position)
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error
    }
    if (packed && !this.#stop.signal.aborted) this.#unpacked.set(file.identity, file.bytes)
    this.#doneBytes += file.bytes
    this.#current = undefined
  }

  /** Files that are new or have grown; a file that went away had been read. */
  async #lookAgain(): Promise<void> {
    try {
      this.#files = await this.#options.find()
    } catch (error) {
      if (!isMillraceError(error, 'MLR_ERR_INPUT_MISSING')) throw error
      this.#files = []
    }
  }
}

async function* skip(bytes: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer> {
  let left = count
  for await (const chunk of bytes) {
    if (left < chunk.length) yield left === 0 ? chunk : chunk.subarray(left)
    left = Math.max(0, left - chunk.length)
  }
}

function positionIn({ positions }: FilesOptions, file: InputFile): LinePosition | undefined {
  return positions?.[file.identity] as LinePosition | undefined
}

/** A file that is shorter than what was read of it has been truncated or written anew under the same inode: nobody can say what was lost. */
function refuseTruncated(file: InputFile, from: LinePosition | undefined): void {
  if (from === undefined || file.compression !== undefined || !file.regular || file.bytes >= from.offset) return
  throw new MillraceError(
    'MLR_ERR_CHECKPOINT_REFUSED',
    `${file.path} has ${file.bytes} bytes, and ${from.offset} were read of it before: it was truncated. What it held in between can't be known — move the file away, or start again with --fresh`,
  )
}
