import stringWidth from 'string-width'
import { compareBytes } from '../core/canonical.ts'
import { MillraceError, printable } from '../core/errors.ts'
import { keyText } from '../core/key.ts'
import type { TextWriter } from './format.ts'

const WIDTH = 80
const GAP = 2
const DEFAULT_ROWS = 20

/**
 * Values as a table of at most 80 columns, for people: the first `limit` of them, as they come or by a column (numbers greatest first,
 * texts in order). Of events only those are kept; of a table the rows as they are at the end. What is too wide is cut with `…`; control
 * characters are shown as escapes.
 */
export function openTable(options: {
  readonly columns?: readonly string[] | undefined
  readonly sort?: string | undefined
  readonly limit?: number | undefined
}): TextWriter {
  const { columns, sort, limit = DEFAULT_ROWS } = options
  if (!Number.isInteger(limit) || limit < 1) {
    throw new MillraceError('MLR_ERR_USAGE', `a table shows a whole number of rows, at least 1; got ${limit}`)
  }
  const before = sort === undefined ? undefined : order(sort)
  const rows = new Map<string, Cells>()
  const kept: Cells[] = []
  let events = 0
  const keep = (row: Cells): void => {
    if (before === undefined) {
      if (kept.length < limit) kept.push(row)
    } else if (kept.length < limit || before(row, kept.at(-1) as Cells) < 0) {
      const at = kept.findIndex((other) => before(row, other) < 0)
      kept.splice(at === -1 ? kept.length : at, 0, row)
      if (kept.length > limit) kept.pop()
    }
  }
  return {
    value: (value) => {
      events++
      keep(cellsOf(value))
      return ''
    },
    row: (key, index, value) => {
      const id = `${keyText(key)} ${String(index).padStart(9, '0')}`
      if (value === undefined) rows.delete(id)
      else rows.set(id, cellsOf(value))
      return ''
    },
    end: () => {
      // Live rows came in the order of their changes.
      for (const [, row] of [...rows].sort(([a], [b]) => compareBytes(a, b))) keep(row)
      const all = events + rows.size
      return all === 0 ? '(no rows)\n' : draw(kept, columns ?? columnsOf(kept), all)
    },
  }
}

type Cells = Readonly<Record<string, unknown>>

function cellsOf(value: unknown): Cells {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Cells) : { value }
}

function order(column: string): (a: Cells, b: Cells) => number {
  return (a, b) => {
    const x = a[column]
    const y = b[column]
    return typeof x === 'number' && typeof y === 'number' ? y - x : compareBytes(String(x), String(y))
  }
}

function columnsOf(rows: readonly Cells[]): readonly string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))]
}

function draw(rows: readonly Cells[], columns: readonly string[], all: number): string {
  const cells = rows.map((row) => columns.map((column) => cell(row[column])))
  const numeric = columns.map((column) => rows.every((row) => typeof row[column] === 'number'))
  const widths = fit(
    columns.map((column, i) =>
      Math.max(stringWidth(printable(column)), ...cells.map((row) => stringWidth(row[i] as string))),
    ),
  )
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => pad(clip(text, widths[i] as number), widths[i] as number, numeric[i] === true))
      .join(' '.repeat(GAP))
      .trimEnd()
  const lines = [line(columns.map(printable)), line(widths.map((width) => '─'.repeat(width))), ...cells.map(line)]
  if (all > rows.length) lines.push(`… and ${(all - rows.length).toLocaleString('en-US')} more rows`)
  return `${lines.join('\n')}\n`
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return ''
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value))
}

/** Takes what is too much from the widest columns. */
function fit(widths: number[]): number[] {
  const room = WIDTH - GAP * (widths.length - 1)
  const fitted = [...widths]
  while (fitted.reduce((sum, width) => sum + width, 0) > room) {
    const widest = fitted.indexOf(Math.max(...fitted))
    if ((fitted[widest] as number) <= 1) break
    fitted[widest] = (fitted[widest] as number) - 1
  }
  return fitted
}

function clip(text: string, width: number): string {
  if (stringWidth(text) <= width) return text
  let clipped = ''
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (stringWidth(clipped + segment) > width - 1) break
    clipped += segment
  }
  return `${clipped}…`
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(Math.max(0, width - stringWidth(text)))
  return right ? space + text : text + space
}
