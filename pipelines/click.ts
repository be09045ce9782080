/** One click, as far as the pipelines need it: whatever else a click carries is left alone. */
export interface Click {
  readonly user_id: string
  readonly action: string
  readonly timestamp?: unknown
}

/** An object whose `user_id` and `action` are texts that are not empty; nothing is coerced or trimmed. */
export function isClick(value: unknown): value is Click {
  if (typeof value !== 'object' || value === null) return false
  const { user_id, action } = value as Record<string, unknown>
  return typeof user_id === 'string' && user_id !== '' && typeof action === 'string' && action !== ''
}

/** The time of a click in milliseconds since the epoch, or undefined where it has none that can be read. */
export function timeOf(click: Click): number | undefined {
  return typeof click.timestamp === 'string' ? parseTime(click.timestamp) : undefined
}

let lastDate = 0
let lastDateMs: number | undefined

/**
 * `YYYY-MM-DDThh:mm:ss[.fff]Z` with one to three digits of a second and a real calendar date; anything else is undefined. Written out
 * by character: `Date.parse` takes much that is not this format, and a regular expression costs three times as much a record.
 */
export function parseTime(text: string): number | undefined {
  const { length } = text
  if (length < 20 || length > 24 || length === 21) return undefined
  if (
    text.charCodeAt(4) !== 45 ||
    text.charCodeAt(7) !== 45 ||
    text.charCodeAt(10) !== 84 ||
    text.charCodeAt(13) !== 58 ||
    text.charCodeAt(16) !== 58 ||
    text.charCodeAt(length - 1) !== 90
  ) {
    return undefined
  }
  const date =
    twoDigits(text, 0) * 1_000_000 + twoDigits(text, 2) * 10_000 + twoDigits(text, 5) * 100 + twoDigits(text, 8)
  const hour = twoDigits(text, 11)
  const minute = twoDigits(text, 14)
  const second = twoDigits(text, 17)
  // NaN, which a character that is no digit has made, fails each of these.
  if (!(date >= 0 && hour < 24 && minute < 60 && second < 60)) return undefined
  // Clicks come by the day.
  if (date !== lastDate) {
    lastDate = date
    lastDateMs = dateMs(date)
  }
  if (lastDateMs === undefined) return undefined
  const ms = length === 20 ? 0 : milliseconds(text, length - 1)
  return ms === undefined ? undefined : lastDateMs + ((hour * 60 + minute) * 60 + second) * 1000 + ms
}

function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48
  const ones = text.charCodeAt(at + 1) - 48
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN
}

function milliseconds(text: string, end: number): number | undefined {
  if (text.charCodeAt(19) !== 46) return undefined
  let ms = 0
  let unit = 100
  for (let i = 20; i < end; i++) {
    const digit = text.charCodeAt(i) - 48
    if (!(digit >= 0 && digit <= 9)) return undefined
    ms += digit * unit
    unit /= 10
  }
  return ms
}

/** The first millisecond of a date written as the number YYYYMMDD, if the calendar has it. */
function dateMs(date: number): number | undefined {
  const year = Math.floor(date / 10_000)
  const month = Math.floor(date / 100) % 100
  const day = date % 100
  const made = new Date(0)
  made.setUTCFullYear(year, month - 1, day)
  const real = made.getUTCFullYear() === year && made.getUTCMonth() === month - 1 && made.getUTCDate() === day
  return real ? made.getTime() : undefined
}
