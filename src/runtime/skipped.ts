import { type ErrorCode, isMillraceError, printable, reasonOf } from '../core/errors.ts'
import { type LinePosition, placeOf, type RecordInfo } from '../core/record.ts'

/** A record that an operator could not take, in the form in which it is kept. */
export interface DeadLetter {
  readonly pipeline: string
  readonly operator: string
  readonly code: ErrorCode
  readonly reason: string
  /** The file, or the partition. */
  readonly file: string
  /** From 1; null where it is not known, as inside a split. */
  readonly line: number | null
  /** The byte at which the line starts in the file, from 0. */
  readonly offset: number | null
  /** The line as it was, without its end, if it is valid UTF-8, … */
  readonly raw?: string
  /** … else its bytes in base64. */
  readonly raw_base64?: string
  /** Only where there are no raw bytes: what the operator got. */
  readonly value?: unknown
}

/** Counts what was skipped, and keeps the first few for the end of the run. */
export class SkippedLog {
  readonly #limit: number
  readonly #byReason = new Map<string, number>()
  readonly first: { readonly place: string; readonly operator: string; readonly reason: string }[] = []
  total = 0

  constructor(limit = 3) {
    this.#limit = limit
  }

  add(operator: string, error: unknown, record: RecordInfo): void {
    this.total++
    const code = codeOf(error)
    this.#byReason.set(code, (this.#byReason.get(code) ?? 0) + 1)
    if (this.first.length < this.#limit) {
      this.first.push({ place: printable(placeOf(record)), operator, reason: printable(reasonOf(error)) })
    }
  }

  /** How many, by code. */
  counts(): readonly (readonly [string, number])[] {
    return [...this.#byReason]
  }
}

export function deadLetter(
  pipeline: string,
  operator: string,
  error: unknown,
  record: RecordInfo & { readonly raw?: Uint8Array | undefined },
  value: unknown,
): DeadLetter {
  const position = record.position
  const at: Partial<LinePosition> =
    position !== null && typeof position === 'object' ? (position as Partial<LinePosition>) : {}
  return {
    pipeline,
    operator,
    code: codeOf(error),
    reason: reasonOf(error),
    file: record.partition,
    line: at.line ?? null,
    offset: at.offset ?? (typeof position === 'number' ? position : null),
    ...rawOf(record.raw ?? (value instanceof Uint8Array ? value : undefined), value),
  }
}

function rawOf(raw: Uint8Array | undefined, value: unknown): Pick<DeadLetter, 'raw' | 'raw_base64' | 'value'> {
  if (raw === undefined) return { value: jsonable(value) }
  const bytes = Buffer.from(raw)
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? { raw: text } : { raw_base64: bytes.toString('base64') }
}

function jsonable(value: unknown): unknown {
  try {
    return JSON.stringify(value) === undefined ? String(value) : value
  } catch {
    return String(value)
  }
}

function codeOf(error: unknown): ErrorCode {
  return isMillraceError(error) ? error.code : 'MLR_ERR_OPERATOR'
}
