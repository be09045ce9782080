import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { MillraceError, reasonOf, show } from '../core/errors.ts'
import { durationMs } from '../core/time.ts'
import type { FormatName, TextFormat } from '../formats/format.ts'
import type { Rotation } from '../sinks/event-files.ts'

const FORMATS: readonly FormatName[] = ['json', 'tsv', 'table', 'lines']

/** Parses the options of a command; whatever is wrong is an error that says what and names `--help`. */
export function parseOptions<const O extends ParseArgsOptionsConfig>(
  argv: readonly string[],
  options: O,
  command: string,
) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: false, strict: true }).values
  } catch (error) {
    const [sentence = ''] = reasonOf(error).split(/\.?\s*\n|\. /)
    throw new MillraceError('MLR_ERR_USAGE', `${command}: ${sentence}; see ${command} --help`)
  }
}

/** `--input PATH` or `--input NAME=PATH`, as often as there are sources. */
export function byName(option: string, given: readonly string[], names: readonly string[]): Map<string, string> {
  const found = new Map<string, string>()
  for (const text of given) {
    const equals = text.indexOf('=')
    const named = equals > 0 && names.includes(text.slice(0, equals))
    if (!named && names.length > 1) {
      throw new MillraceError(
        'MLR_ERR_USAGE',
        `${option} ${text}: there are ${names.map((name) => `'${name}'`).join(', ')}; say which: ${option} NAME=${text}`,
      )
    }
    const name = named ? text.slice(0, equals) : (names[0] as string)
    if (found.has(name))
      throw new MillraceError(
        'MLR_ERR_USAGE',
        `${option}: '${name}' is given twice; for several files use a folder or a glob in quotes`,
      )
    found.set(name, named ? text.slice(equals + 1) : text)
  }
  return found
}

export function wholeNumber(option: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined
  const n = Number(text)
  if (!/^\d+$/.test(text) || n < least)
    throw new MillraceError('MLR_ERR_USAGE', `${option} takes a whole number of at least ${least}; got ${show(text)}`)
  return n
}

export const FORMAT_OPTIONS = {
  format: { type: 'string' },
  columns: { type: 'string' },
} as const satisfies ParseArgsOptionsConfig

export function formatName(text: string | undefined): FormatName | undefined {
  if (text === undefined) return undefined
  const format = FORMATS.find((name) => name === text)
  if (format === undefined)
    throw new MillraceError('MLR_ERR_USAGE', `--format is one of ${FORMATS.join(', ')}; got ${show(text)}`)
  return format
}

/** The format that the command line asks for, if any. */
export function formatOf(values: {
  format?: string | undefined
  columns?: string | undefined
  sort?: string | undefined
  limit?: string | undefined
}): Partial<TextFormat> | undefined {
  const format = formatName(values.format)
  const limit = wholeNumber('--limit', values.limit, 1)
  if ((values.sort !== undefined || limit !== undefined) && format !== 'table') {
    throw new MillraceError(
      'MLR_ERR_USAGE',
      '--sort and --limit are for --format table: other formats write every row, in the order of the keys',
    )
  }
  const wanted = {
    ...(format === undefined ? {} : { format }),
    ...(values.columns === undefined ? {} : { columns: values.columns.split(',') }),
    ...(values.sort === undefined ? {} : { sort: values.sort }),
    ...(limit === undefined ? {} : { limit }),
  }
  return Object.keys(wanted).length === 0 ? undefined : wanted
}

/** `--rotate 10000` (events), `64MB`, `10m` (by the clock). */
export function rotationOf(text: string): Rotation {
  if (/^[1-9]\d*$/.test(text)) return { count: Number(text) }
  const size = /^(\d+)(kB|MB|GB)$/i.exec(text)
  if (size !== null && Number(size[1]) > 0) {
    const unit = { kb: 1e3, mb: 1e6, gb: 1e9 }[(size[2] as string).toLowerCase()] as number
    return { bytes: Number(size[1]) * unit }
  }
  if (/^\d+(s|m|h|d)$/.test(text) && durationMs(text) > 0) return { after: text }
  throw new MillraceError(
    'MLR_ERR_USAGE',
    `--rotate takes a number of events (10000), a size (64MB) or a time (10m); got ${show(text)}`,
  )
}
