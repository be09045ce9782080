/**
 * Every error that Millrace throws, from one table: code → what it means. `docs/errors.md` has a section for each code, with
 * what to do; a test holds the two together.
 */
export const ERRORS = {
  MLR_ERR_PLAN: 'the pipeline is not a valid plan',
  MLR_ERR_OPERATOR: 'an operator failed on a record',
  MLR_ERR_EMITTED_NOTHING: 'an operator emitted null or undefined',
  MLR_ERR_KEY: 'a key is not a string, finite number, boolean or array of those',
  MLR_ERR_LINE_UTF8: 'a line is not valid UTF-8',
  MLR_ERR_LINE_TOO_LONG: 'a line is longer than the limit',
  MLR_ERR_JSON: 'a text is not one JSON text',
  MLR_ERR_JSON_TOO_DEEP: 'a JSON text is nested deeper than the limit',
  MLR_ERR_SCHEMA: 'a value does not satisfy its schema',
  MLR_ERR_TIMEOUT: 'an asynchronous step took longer than its limit',
  MLR_ERR_FORMAT: 'a value cannot be written in the chosen format',
  MLR_ERR_WIRE: 'a line between mapper and reducer is not key TAB accumulator',
  MLR_ERR_INPUT_MISSING: 'an input does not exist',
  MLR_ERR_INPUT_READ: 'an input cannot be read',
  MLR_ERR_INPUT_COMPRESSED: 'a compressed input is damaged or cut short',
  MLR_ERR_OUTPUT_EXISTS: 'the output folder exists',
  MLR_ERR_OUTPUT_WRITE: 'an output cannot be written',
  MLR_ERR_OUTPUT_CLOSED: 'the reader of our output has closed it',
  MLR_ERR_CHILD: 'a process that Millrace started has failed',
  MLR_ERR_DIFFERENT: 'the two engines gave different bytes',
  MLR_ERR_CHECKPOINT_STORE: 'the place of the checkpoints cannot be used',
  MLR_ERR_CHECKPOINT_DAMAGED: 'a checkpoint is damaged',
  MLR_ERR_CHECKPOINT_REFUSED: 'the checkpoints and this start do not fit each other',
  MLR_ERR_FENCED: 'another process has taken the pipeline over',
  MLR_ERR_SERVER_UNREACHABLE: 'a server does not answer',
  MLR_ERR_SERVER_LOGIN: 'a server refuses the login, or what was asked of it',
  MLR_ERR_INPUT_GONE: 'records that were not read yet are gone',
  MLR_ERR_USAGE: 'the command line is wrong',
} as const

export type ErrorCode = keyof typeof ERRORS

/**
 * An error with a code from {@link ERRORS}. The message says where, what was expected and got, which record, and what to do;
 * `cause` is the error underneath, if there is one.
 */
export class MillraceError extends Error {
  override readonly name = 'MillraceError'
  readonly code: ErrorCode
  /** The pipeline and operator it comes from, once that is known: then it is not wrapped again. */
  readonly where: string | undefined

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; where?: string }) {
    super(options?.where === undefined ? message : `${options.where}: ${message}`, options)
    this.code = code
    this.where = options?.where
  }
}

export function isMillraceError(error: unknown, code?: ErrorCode): error is MillraceError {
  return error instanceof MillraceError && (code === undefined || error.code === code)
}

/** The text of anything that was thrown. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return error.message
  return `threw ${show(error)}`
}

/** Streams want an Error, and anything can be thrown. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(reasonOf(thrown), { cause: thrown })
}

/** A value for a message: its type and at most 80 characters of it, control characters escaped. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`
  let text: string | undefined
  try {
    text =
      typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'number'
        ? String(value)
        : JSON.stringify(value)
  } catch {
    text = undefined
  }
  const type = Array.isArray(value) ? 'array' : typeof value
  return `${type} ${shorten(text ?? Object.prototype.toString.call(value))}`
}

/** At most 80 characters, control characters written as escapes, so that a hostile value cannot write to the terminal. */
export function shorten(text: string, limit = 80): string {
  const cut = text.length > limit ? `${text.slice(0, limit - 1)}…` : text
  return printable(cut)
}

export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
