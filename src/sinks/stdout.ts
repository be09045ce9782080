import { MillraceError, reasonOf } from '../core/errors.ts'
import { openFormat } from '../formats/format.ts'
import type { SinkWriter, TextFormat } from './sink.ts'
import { TextOutput } from './text.ts'

/** Writes to standard output. A reader that closes it (`| head`) ends the run: `MLR_ERR_OUTPUT_CLOSED`. */
export function openStdout(format: TextFormat): SinkWriter {
  const output = new TextOutput(process.stdout, openFormat(format))
  const guard = async (run: () => Promise<void>): Promise<void> => {
    try {
      await run()
    } catch (error) {
      throw stdoutError(error)
    }
  }
  return {
    write: (given) => guard(() => output.write(given)),
    close: () =>
      guard(async () => {
        await output.end()
        await flushed()
        output.check()
      }),
    abort: async () => {},
  }
}

/** Resolves when what was written has left the process. */
export function flushed(): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.stdout.writableLength === 0) resolve()
    else process.stdout.write('', (error) => (error ? reject(error) : resolve()))
  })
}

export function stdoutError(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') {
    return new MillraceError('MLR_ERR_OUTPUT_CLOSED', 'the reader of standard output has closed it', { cause: error })
  }
  if (error instanceof MillraceError) return error
  return new MillraceError('MLR_ERR_OUTPUT_WRITE', `cannot write to standard output: ${reasonOf(error)}`, {
    cause: error,
  })
}
