import { MillraceError } from '../core/errors.ts'
import { durationMs } from '../core/time.ts'

/** Set by `--retry-for`: how long a server that went away is waited for; for ever where it is not set. */
export const RETRY_FOR = 'MILLRACE_RETRY_FOR'

/** How long is one thing tried again? From its first failure on, for as long as the environment says. */
export class Patience {
  #since: number | undefined

  /** Milliseconds; without end where nothing is said. */
  static get limitMs(): number {
    const text = process.env[RETRY_FOR]
    return text === undefined || text === '' ? Number.POSITIVE_INFINITY : durationMs(text)
  }

  /** One more failure, of something that may pass: throws it when the time is over. */
  failed(error: MillraceError): void {
    this.#since ??= performance.now()
    if (performance.now() - this.#since >= Patience.limitMs) throw givenUp(error)
  }
}

export function givenUp(error: MillraceError): MillraceError {
  return new MillraceError(
    error.code,
    `${error.message}; given up after ${process.env[RETRY_FOR]} (--retry-for): a start goes on where the last checkpoint was`,
    { cause: error },
  )
}
