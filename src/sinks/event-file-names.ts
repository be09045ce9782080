import { posix } from 'node:path'
import { isPacked } from './packing.ts'

const { basename, extname } = posix

/** Which run of a source partition a file of events covers: the records from `from` on and before `to`. */
export interface EventFileName {
  readonly generation: number
  readonly label: string
  readonly from: number
  readonly to: number
}

/** `events.ndjson`, and partition `clicks-0` from 5 to 9 → `events.clicks-0.000000000005-000000000009.ndjson`. */
export function eventFileName(path: string, { generation, label, from, to }: EventFileName): string {
  const [stem, extension] = stemOf(path)
  return `${stem}.${generation > 1 ? `g${generation}.` : ''}${label}.${pad(from)}-${pad(to)}${extension}`
}

/** What a name tells, or undefined where it is no file of events of that path. */
export function parseEventFileName(path: string, name: string): EventFileName | undefined {
  const [stem, extension] = stemOf(path)
  if (!name.startsWith(`${stem}.`) || !name.endsWith(extension)) return undefined
  const middle = name.slice(stem.length + 1, name.length - extension.length)
  const match = /^(?:g(\d+)\.)?(.*)\.(\d{12,})-(\d{12,})$/.exec(middle)
  if (match === null) return undefined
  const [, generation = '1', label = '', from, to] = match
  return { generation: Number(generation), label, from: Number(from), to: Number(to) }
}

/** `events.ndjson.gz` → `events` and `.ndjson.gz`. */
function stemOf(path: string): readonly [stem: string, extension: string] {
  const name = basename(path)
  const packed = isPacked(name) ? extname(name) : ''
  const rest = name.slice(0, name.length - packed.length)
  const extension = extname(rest)
  return [rest.slice(0, rest.length - extension.length), extension + packed]
}

function pad(position: number): string {
  return String(position).padStart(12, '0')
}
