import { createWriteStream, type WriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { finished } from 'node:stream/promises'
import { MillraceError, reasonOf } from '../core/errors.ts'
import { syncPath } from '../core/sync.ts'
import type { TextFormat } from '../formats/format.ts'
import { openFormat } from '../formats/format.ts'
import { packerFor, refuseUnpackable } from './packing.ts'
import type { SinkWriter } from './sink.ts'
import { TextOutput } from './text.ts'

/**
 * Writes one file, packed by its suffix. Until `close` everything goes to a temporary name beside it; then it is synced and renamed,
 * so that under the final name there is the whole file or what was there before. What is no regular file (a pipe, a device) is written
 * directly.
 */
export async function openFileSink(path: string, format: TextFormat): Promise<SinkWriter> {
  refuseUnpackable(path)
  const direct = await isSpecial(path)
  const temporary = direct ? path : join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  const failed = (error: unknown): MillraceError =>
    error instanceof MillraceError
      ? error
      : new MillraceError('MLR_ERR_OUTPUT_WRITE', `cannot write ${path}: ${reasonOf(error)}`, { cause: error })
  const stream = createWriteStream(temporary, { flags: 'w' })
  await opened(stream).catch((error: unknown) => {
    throw failed(error)
  })
  const packer = packerFor(path)
  if (packer !== undefined) {
    packer.pipe(stream)
    stream.on('error', (error) => packer.destroy(error))
  }
  const output = new TextOutput(packer ?? stream, openFormat(format))
  const discard = async (): Promise<void> => {
    packer?.destroy()
    stream.destroy()
    if (!direct) await rm(temporary, { force: true })
  }
  return {
    write: async (given) => {
      try {
        await output.write(given)
      } catch (error) {
        throw failed(error)
      }
    },
    close: async () => {
      try {
        await output.end()
        ;(packer ?? stream).end()
        await finished(stream)
        output.check()
        if (direct) return
        await syncPath(temporary)
        await rename(temporary, path)
        await syncPath(dirname(path))
      } catch (error) {
        await discard()
        throw failed(error)
      }
    },
    abort: discard,
  }
}

async function isSpecial(path: string): Promise<boolean> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) {
      throw new MillraceError(
        'MLR_ERR_OUTPUT_EXISTS',
        `${path} is a folder — name a file, or use batch --output for a folder of parts`,
      )
    }
    return !found.isFile()
  } catch (error) {
    if (error instanceof MillraceError) throw error
    return false
  }
}

function opened(stream: WriteStream): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once('open', () => resolve())
    stream.once('error', reject)
  })
}
