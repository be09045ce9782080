/** One request of an Apache log in the combined format. */
export interface Request {
  readonly visitor: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly method: string
  /** The path without its query. */
  readonly page: string
  readonly status: number
  readonly bytes: number
  readonly agent: string
}

// visitor identity user [time] "request" status bytes "referrer" "agent"; inside quotes a backslash escapes.
const COMBINED =
  /^(\S+) \S+ \S+ \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-) "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)"$/

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** A line → the request. Throws, with the reason, where it is none. */
export function parseRequest(line: string): Request {
  const match = COMBINED.exec(line)
  if (match === null) throw new Error('not a line of an Apache combined log')
  const [, visitor = '', timestamp = '', request = '', status, bytes, agent = ''] = match
  const [method = '', target = ''] = request.split(' ')
  const query = target.indexOf('?')
  return {
    visitor,
    time: parseLogTime(timestamp),
    method,
    page: query === -1 ? target : target.slice(0, query),
    status: Number(status),
    bytes: bytes === '-' ? 0 : Number(bytes),
    agent,
  }
}

/** `17/May/2015:10:05:03 +0000` → milliseconds since the epoch. */
export function parseLogTime(text: string): number {
  const match = /^(\d{2})\/([A-Z][a-z]{2})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/.exec(text)
  const month = match === null ? -1 : MONTHS.indexOf(match[2] as string)
  if (match === null || month === -1) throw new Error(`no time that can be read: ${text}`)
  const [day, , year, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const offset = (Number(match[8]) * 60 + Number(match[9])) * 60_000 * (match[7] === '-' ? -1 : 1)
  return Date.UTC(year, month, day, hour, minute, second) - offset
}

/** The hour of a time, as people write it: `2015-05-17 10:00`. */
export function hourOf(time: number): string {
  return `${new Date(time).toISOString().slice(0, 13).replace('T', ' ')}:00`
}
