import { isAscii, isUtf8 } from 'node:buffer'
import { MillraceError } from '../core/errors.ts'
import { isBlank } from '../core/line-cutter.ts'
import type { LineBatch, LinePosition } from '../core/record.ts'

const LF = 10
const CR = 13

export const DEFAULT_MAX_LINE_BYTES = 16 * 1024 * 1024

/** How many bytes of a line that is too long are kept for its dead letter. */
const KEPT_OF_TOO_LONG = 1024

/**
 * Whole lines of a byte source as they were read, cut only when somebody asks. The rules: a line ends at LF (0x0A) only; one CR
 * before the LF belongs to the line end; lines of spaces, TABs and CRs only are no records; what is not valid UTF-8 is malformed.
 */
export class LineBlock implements LineBatch {
  readonly kind = 'lines'
  readonly source: string
  readonly partition: string
  readonly #bytes: Buffer
  readonly #offset: number
  readonly #firstLine: number | undefined
  readonly #maxLineBytes: number
  /** The real length of a line that was too long to keep, of which `bytes` is the beginning. */
  readonly #tooLong: number | undefined
  readonly #identity: string | undefined
  #lineCount: number | undefined
  #askedIndex = 0
  #askedStart = 0

  constructor(from: {
    source: string
    partition: string
    bytes: Buffer
    offset: number
    firstLine: number | undefined
    maxLineBytes: number
    tooLong?: number
    identity?: string | undefined
  }) {
    this.source = from.source
    this.partition = from.partition
    this.#bytes = from.bytes
    this.#offset = from.offset
    this.#firstLine = from.firstLine
    this.#maxLineBytes = from.maxLineBytes
    this.#tooLong = from.tooLong
    this.#identity = from.identity
  }

  get byteLength(): number {
    return this.#tooLong ?? this.#bytes.length
  }

  get text(): string | undefined {
    const bytes = this.#bytes
    if (this.#tooLong !== undefined) return undefined
    const length = bytes.at(-1) === LF ? bytes.length - (bytes.at(-2) === CR ? 2 : 1) : bytes.length
    const body = bytes.subarray(0, length)
    // A copy of ASCII bytes is much cheaper than decoding them.
    if (isAscii(body)) return body.toString('latin1')
    return isUtf8(body) ? body.toString('utf8') : undefined
  }

  hasLineOver(limit: number): boolean {
    const bytes = this.#bytes
    if (this.#tooLong !== undefined) return true
    let from = 0
    while (from + limit < bytes.length) {
      const end = bytes.lastIndexOf(LF, from + limit)
      if (end < from) return true
      from = end + 1
    }
    return false
  }

  get identity(): string | undefined {
    return this.#identity
  }

  get resume(): { readonly partition: string; readonly position: LinePosition } | undefined {
    if (this.#identity === undefined) return undefined
    // The LF of a line that was too long is not among the bytes that were kept.
    const bytes = this.#tooLong === undefined ? this.#bytes.length : this.#tooLong + 1
    const line = this.#firstLine === undefined ? undefined : this.#firstLine + this.lineCount
    return { partition: this.#identity, position: { line, offset: this.#offset + bytes } }
  }

  setLineCount(lines: number): void {
    this.#lineCount = lines
  }

  /** Physical lines, blank ones included; counted only if nobody has told. */
  get lineCount(): number {
    if (this.#lineCount === undefined) {
      let count = 0
      for (let at = this.#bytes.indexOf(LF); at !== -1; at = this.#bytes.indexOf(LF, at + 1)) count++
      this.#lineCount = this.#bytes.at(-1) === LF ? count : count + 1
    }
    return this.#lineCount
  }

  eachLine(visit: (line: string, index: number) => void, malformed: (error: Error, index: number) => void): number {
    if (this.#tooLong !== undefined) {
      this.#lineCount = 1
      malformed(tooLong(this.#tooLong, this.#maxLineBytes), 0)
      return 1
    }
    const bytes = this.#bytes
    const ascii = isAscii(bytes)
    const valid = ascii || isUtf8(bytes)
    let records = 0
    let index = 0
    for (let from = 0; from < bytes.length; index++) {
      const found = bytes.indexOf(LF, from)
      const next = found === -1 ? bytes.length : found + 1
      const end = found > from && bytes[found - 1] === CR ? found - 1 : found === -1 ? bytes.length : found
      const start = from
      from = next
      const first = bytes[start] as number
      if (end === start || (first <= 32 && isBlank(bytes.subarray(start, end)))) continue
      records++
      if (end - start > this.#maxLineBytes) malformed(tooLong(end - start, this.#maxLineBytes), index)
      // Each line is a string of its own: a slice of the block's text would keep the whole block alive as long as a key or an
      // accumulator that was cut from it.
      else if (ascii) visit(bytes.toString('latin1', start, end), index)
      else if (valid || isUtf8(bytes.subarray(start, end))) visit(bytes.toString('utf8', start, end), index)
      else malformed(notUtf8(), index)
    }
    this.#lineCount = index
    return records
  }

  positionOf(index: number): LinePosition {
    const line = this.#firstLine === undefined ? undefined : this.#firstLine + index
    return { line, offset: this.#offset + this.#startOf(index) }
  }

  rawOf(index: number): Uint8Array {
    const start = this.#startOf(index)
    const found = this.#bytes.indexOf(LF, start)
    const end = found === -1 ? this.#bytes.length : found
    return this.#bytes.subarray(start, found > start && this.#bytes[end - 1] === CR ? end - 1 : end)
  }

  /** From where the last question left off: who asks for each record's place in turn does not scan the block each time. */
  #startOf(index: number): number {
    if (index < this.#askedIndex) {
      this.#askedIndex = 0
      this.#askedStart = 0
    }
    while (this.#askedIndex < index) {
      this.#askedStart = this.#bytes.indexOf(LF, this.#askedStart) + 1
      this.#askedIndex++
    }
    return this.#askedStart
  }
}

function tooLong(bytes: number, limit: number): MillraceError {
  return new MillraceError('MLR_ERR_LINE_TOO_LONG', `the line has ${bytes} bytes, more than maxLineBytes (${limit})`)
}

export function notUtf8(): MillraceError {
  return new MillraceError('MLR_ERR_LINE_UTF8', 'not valid UTF-8')
}

export interface FrameOptions {
  readonly source: string
  readonly partition: string
  /** The byte at which the chunks start in the file, 0 by default. Only there a byte-order mark is ignored and lines have numbers. */
  readonly offset?: number
  /** The number of the first line, where the chunks do not start at the beginning. */
  readonly line?: number
  /** What a source that resumes knows the partition by. */
  readonly identity?: string
  /** Leave a last line without LF alone: its writer may be at it. */
  readonly wholeLinesOnly?: boolean
  /** Longer lines are malformed; they are never held in memory whole. */
  readonly maxLineBytes?: number
}

/**
 * Chunks of bytes → blocks of whole lines. A block is given when the one before has been taken, for its first line's number is known
 * only then: use each block before you ask for the next. Memory: one chunk, and a line that crosses chunks up to `maxLineBytes`.
 */
export async function* frameLines(chunks: AsyncIterable<Uint8Array>, options: FrameOptions): AsyncGenerator<LineBlock> {
  const { source, partition, maxLineBytes = DEFAULT_MAX_LINE_BYTES } = options
  let offset = options.offset ?? 0
  const numbered = offset === 0 || options.line !== undefined
  let line = options.line ?? 1
  let start = offset === 0
  let pieces: Buffer[] = []
  let held = 0
  let tooLongBytes = 0
  const block = (bytes: Buffer, tooLong?: number): LineBlock =>
    new LineBlock({
      source,
      partition,
      bytes,
      offset,
      firstLine: numbered ? line : undefined,
      maxLineBytes,
      identity: options.identity,
      ...(tooLong === undefined ? {} : { tooLong }),
    })
  const taken = (given: LineBlock, bytes: number): void => {
    offset += bytes
    line += given.lineCount
  }
  for await (const chunk of chunks) {
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    if (start) {
      // The mark is three bytes and might come in pieces.
      if (held > 0) bytes = Buffer.concat([...pieces, bytes])
      pieces = []
      held = 0
      if (bytes.length < 3 && isPrefixOfMark(bytes)) {
        pieces.push(bytes)
        held = bytes.length
        continue
      }
      start = false
      if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
        bytes = bytes.subarray(3)
        offset += 3
      }
    }
    if (tooLongBytes > 0) {
      const end = bytes.indexOf(LF)
      if (end === -1) {
        tooLongBytes += bytes.length
        continue
      }
      const given = block(Buffer.concat(pieces), tooLongBytes + end)
      yield given
      taken(given, tooLongBytes + end + 1)
      pieces = []
      held = 0
      tooLongBytes = 0
      bytes = bytes.subarray(end + 1)
    }
    if (held > 0) {
      // The line that crosses chunks is a block of its own: joining it with the whole chunk would copy the chunk.
      const first = bytes.indexOf(LF) + 1
      if (first > 0) {
        const given = block(Buffer.concat([...pieces, bytes.subarray(0, first)]))
        yield given
        taken(given, held + first)
        pieces = []
        held = 0
        bytes = bytes.subarray(first)
      }
    }
    const end = bytes.lastIndexOf(LF) + 1
    if (end > 0) {
      const given = block(bytes.subarray(0, end))
      yield given
      taken(given, end)
    }
    if (end < bytes.length) {
      pieces.push(bytes.subarray(end))
      held += bytes.length - end
      if (held > maxLineBytes) {
        pieces = [Buffer.concat(pieces).subarray(0, KEPT_OF_TOO_LONG)]
        tooLongBytes = held
      }
    }
  }
  if (options.wholeLinesOnly === true) return
  if (tooLongBytes > 0) yield block(Buffer.concat(pieces), tooLongBytes)
  else if (held > 0) yield block(Buffer.concat(pieces))
}

function isPrefixOfMark(bytes: Buffer): boolean {
  return [0xef, 0xbb, 0xbf].slice(0, bytes.length).every((byte, i) => bytes[i] === byte)
}
