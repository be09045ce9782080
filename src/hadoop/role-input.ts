import { createReadStream } from 'node:fs'
import { MillraceError, reasonOf } from '../core/errors.ts'
import { frameLines, type LineBlock } from '../formats/lines.ts'
import { type InputFile, READ_BYTES, readInputFile, unreadable } from '../sources/input-files.ts'

const LF = 10

/** A part of the input for one mapper: the lines that start at or after `start` and before `end`. A compressed file can't be split. */
export interface Split {
  readonly file: InputFile
  readonly start: number
  readonly end: number
}

/**
 * Cuts files into about `count` splits of equal size; every file has at least one. A file that is packed, or a pipe, is one split.
 */
export function planSplits(files: readonly InputFile[], count: number): readonly Split[] {
  const size = Math.max(1, Math.ceil(files.reduce((sum, file) => sum + file.bytes, 0) / count))
  return files.flatMap((file) => {
    if (file.compression !== undefined || !file.regular || file.bytes === 0)
      return [{ file, start: 0, end: file.bytes }]
    const parts = Math.max(1, Math.round(file.bytes / size))
    return Array.from({ length: parts }, (_, i) => ({
      file,
      start: Math.floor((file.bytes * i) / parts),
      end: Math.floor((file.bytes * (i + 1)) / parts),
    }))
  })
}

/** The lines of a split. */
export async function* readSplit({ file, start, end }: Split, source: string): AsyncGenerator<LineBlock> {
  const whole = start === 0 && end >= file.bytes
  if (whole || file.compression !== undefined || !file.regular) {
    yield* frameLines(readInputFile(file), { source, partition: file.path })
    return
  }
  yield* frameLines(bytesOfSplit(file.path, start, end), {
    source,
    partition: file.path,
    offset: await firstLineAt(file.path, start),
  })
}

/** Where the first line starts that starts at or after a byte. */
async function firstLineAt(path: string, start: number): Promise<number> {
  if (start === 0) return 0
  let at = start - 1
  try {
    for await (const chunk of createReadStream(path, { start: at, highWaterMark: READ_BYTES })) {
      const found = (chunk as Buffer).indexOf(LF)
      if (found !== -1) return at + found + 1
      at += (chunk as Buffer).length
    }
  } catch (error) {
    throw unreadable(path, error)
  }
  return at
}

async function* bytesOfSplit(path: string, start: number, end: number): AsyncGenerator<Buffer> {
  const first = await firstLineAt(path, start)
  if (first >= end) return
  let at = first
  try {
    for await (const chunk of createReadStream(path, { start: first, highWaterMark: READ_BYTES })) {
      const bytes = chunk as Buffer
      // The last line is the one that holds the byte before `end`, to its own end.
      if (at + bytes.length >= end) {
        const from = Math.max(0, end - 1 - at)
        const found = bytes.indexOf(LF, from)
        if (found !== -1) {
          yield bytes.subarray(0, found + 1)
          return
        }
      }
      yield bytes
      at += bytes.length
    }
  } catch (error) {
    throw unreadable(path, error)
  }
}

/** Standard input as lines: what Hadoop Streaming gives a task. Its file's name, if Hadoop tells one, is the place in messages. */
export async function* readStdin(source: string): AsyncGenerator<LineBlock> {
  async function* chunks(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of process.stdin) yield chunk as Buffer
    } catch (error) {
      throw new MillraceError('MLR_ERR_INPUT_READ', `cannot read standard input: ${reasonOf(error)}`, { cause: error })
    }
  }
  yield* frameLines(chunks(), { source, partition: process.env.mapreduce_map_input_file ?? 'stdin' })
}
