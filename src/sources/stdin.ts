import { MillraceError, reasonOf } from '../core/errors.ts'
import type { Batch } from '../core/record.ts'
import { frameLines } from '../formats/lines.ts'
import type { SourceOptions, SourceReader } from './source.ts'

/** Standard input as lines. It can be read once, so only one source of a process may be it. */
export function openStdin(options: SourceOptions & { maxLineBytes?: number | undefined }): SourceReader {
  let stopped = false
  async function* chunks(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of process.stdin) yield chunk as Buffer
    } catch (error) {
      if (!stopped)
        throw new MillraceError('MLR_ERR_INPUT_READ', `cannot read standard input: ${reasonOf(error)}`, {
          cause: error,
        })
    }
  }
  const { name, maxLineBytes } = options
  return {
    [Symbol.asyncIterator]: (): AsyncIterator<Batch> =>
      frameLines(chunks(), {
        source: name,
        partition: 'stdin',
        ...(maxLineBytes === undefined ? {} : { maxLineBytes }),
      }),
    stop: () => {
      stopped = true
      process.stdin.destroy()
    },
  }
}
