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

  constructor(files: readonly InputFile[], options: FilesOptions) {
    this.#files = files
    this.#options = options
    this.#resumes = options.follow === true || options.positions !== undefined
    this.#totalBytes = files.reduce((sum, file) => sum + file.bytes, 0)
    for (const [identity, position] of Object.entries(options.positions ?? {}))
      this.#positions.set(identity, position as LinePosition)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    for (;;) {
      for (const file of this.#files) {
        if (this.#stop.signal.aborted) return
        yield* this.#read(file)
      }
      if (this.#options.follow !== true) return
      await sleep(this.#options.lookMs, undefined, { signal: this.#stop.signal }).catch(() => {})
      if (this.#stop.signal.aborted) return
      await this.#lookAgain()
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

  async *#read(file: InputFile): AsyncGenerator<Batch> {
    const { name, maxLineBytes, follow = false } = this.#options
    const from = this.#positions.get(file.identity)
    refuseTruncated(file, from)
    const opened = (stream: RawInput): void => {
      this.#current = stream
    }
    const packed = file.compression !== undefined
    if (this.#resumes && packed && this.#unpacked.get(file.identity) === file.bytes) return
    if (from !== undefined && !packed && from.offset === file.bytes) {
      this.#doneBytes += file.bytes
      return
    }
    const bytes = packed
      ? skip(readInputFile(file, { opened }), from?.offset ?? 0)
      : readInputFile(file, { opened, start: from?.offset ?? 0 })
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
