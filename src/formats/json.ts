import { isUtf8 } from 'node:buffer'
import { MillraceError, reasonOf, shorten } from '../core/errors.ts'
import { notUtf8 } from './lines.ts'

/** Deeper texts are refused: what they would do to recursive code further on is not worth finding out. */
export const DEFAULT_MAX_DEPTH = 1000

/** One JSON text → its value. Throws `MLR_ERR_JSON`, `MLR_ERR_JSON_TOO_DEEP` or, for bytes, `MLR_ERR_LINE_UTF8`. */
export function parseJsonText(input: string | Uint8Array, maxDepth: number): unknown {
  const text = typeof input === 'string' ? input : decode(input)
  // n levels need n opening and n closing brackets, so short texts need no look.
  if (text.length > 2 * maxDepth && isDeeperThan(text, maxDepth)) {
    throw new MillraceError('MLR_ERR_JSON_TOO_DEEP', `nested deeper than maxDepth (${maxDepth})`)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new MillraceError('MLR_ERR_JSON', `not JSON: ${shorten(reasonOf(error), 120)}`, { cause: error })
  }
}

function decode(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw notUtf8()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** Whether brackets, outside of strings, open more than `limit` levels. */
export function isDeeperThan(text: string, limit: number): boolean {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 0x22) {
      // To the end of the string: the next quote with an even number of backslashes before it.
      for (;;) {
        i = text.indexOf('"', i + 1)
        if (i === -1) return false
        let slashes = 0
        while (text.charCodeAt(i - 1 - slashes) === 0x5c) slashes++
        if (slashes % 2 === 0) break
      }
    } else if (c === 0x7b || c === 0x5b) {
      if (++depth > limit) return true
    } else if (c === 0x7d || c === 0x5d) depth--
  }
  return false
}

/**
 * The values of many lines with one `JSON.parse` (a sixth faster than one by one), or undefined where that could differ from line
 * by line in anything.
 *
 * Why it cannot differ: every line starts with `{` and ends with `}`, for each line end is one of the replaced `}LF{` and none is
 * left. Two lines could only become parts of one value if a `}`, CR, `{` stood inside something: inside a string the CR that we put
 * there is no JSON; inside an object a value cannot follow a comma; inside an array it could, so a text with any `[` is refused.
 * Hence every line end lies between two values, each line gives at least one, and the counts agree only if each gives exactly one.
 */
export function parseObjectLines(text: string): readonly unknown[] | undefined {
  if (text.charCodeAt(0) !== 0x7b || text.charCodeAt(text.length - 1) !== 0x7d || text.includes('[')) return undefined
  const firstEnd = text.indexOf('\n')
  const crlf = firstEnd > 0 && text.charCodeAt(firstEnd - 1) === 0x0d
  // A replacement of an atom by an atom is one pass without a callback; split and join make a string a line.
  const joined = crlf ? text.replace(/}\r\n{/g, '},\r\r{') : text.replace(/}\n{/g, '},\r{')
  if (joined.includes('\n')) return undefined
  const lines = joined.length - text.length + 1
  let values: readonly unknown[]
  try {
    values = JSON.parse(`[${joined}]`)
  } catch {
    return undefined
  }
  return values.length === lines ? values : undefined
}

/** One value → one line of JSON without its line end. */
export function formatJsonLine(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw new MillraceError('MLR_ERR_FORMAT', `cannot be written as JSON: ${reasonOf(error)}`, { cause: error })
  }
  if (text === undefined)
    throw new MillraceError('MLR_ERR_FORMAT', `cannot be written as JSON: ${typeof value} has no JSON text`)
  return text
}
