import type { Key } from '../core/key.ts'
import { formatJsonLine } from './json.ts'
import { openTable } from './table.ts'
import { formatTsvLine } from './tsv.ts'

export type FormatName = 'json' | 'tsv' | 'table' | 'lines'

/** How a text sink writes. */
export interface TextFormat {
  readonly format: FormatName
  readonly columns?: readonly string[]
  /** Only 'table': by which column the rows are sorted, and how many are shown. */
  readonly sort?: string
  readonly limit?: number
}

/** Values to text, for one sink. */
export interface TextWriter {
  /** The text of one value, its line end included; empty where it comes only at the end. */
  value(value: unknown): string
  /** The text of a row of a table: its new value, or undefined where it is gone. */
  row(key: Key, index: number, value: unknown): string
  /** What comes after the last value. */
  end(): string
}

/** Opens a format. JSON: one line a value. TSV: one line a row. Lines: texts as they are. Table: for people, at the end. */
export function openFormat({ format, columns, sort, limit }: TextFormat): TextWriter {
  switch (format) {
    case 'json':
      return lineFormat(formatJsonLine)
    case 'tsv':
      return lineFormat((value) => formatTsvLine(value, columns))
    case 'lines':
      return lineFormat(textLine)
    case 'table':
      return openTable({ columns, sort, limit })
  }
}

/** One value as a line of a format, its end included: what a reducer writes. A table is for people, so there it is JSON. */
export function lineOf(
  format: FormatName | undefined,
  columns: readonly string[] | undefined,
): (value: unknown) => string {
  const writer = openFormat({
    format: format === undefined || format === 'table' ? 'json' : format,
    ...(columns === undefined ? {} : { columns }),
  })
  return (value) => writer.value(value)
}

function lineFormat(line: (value: unknown) => string): TextWriter {
  return {
    value: (value) => `${line(value)}\n`,
    row: (key, index, value) => {
      if (value !== undefined) return `${line(value)}\n`
      return `${formatJsonLine(index === 0 ? { removed: key } : { removed: key, index })}\n`
    },
    end: () => '',
  }
}

function textLine(value: unknown): string {
  const text =
    typeof value === 'string'
      ? value
      : value instanceof Uint8Array
        ? Buffer.from(value).toString('utf8')
        : formatJsonLine(value)
  return text.endsWith('\n') ? text.slice(0, -1) : text
}
