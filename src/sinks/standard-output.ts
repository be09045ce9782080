import { MillraceError, reasonOf } from '../core/errors.ts'

/** Resolves when what was written has left the process. */
export function flushed(): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.stdout.writableLength === 0) resolve()
    else process.stdout.write('', (error) => (error ? reject(error) : resolve()))
  })
}

/** The error of a write to standard output, in our words. A reader that has closed it is a code of its own: `| head` is no failure. */
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
