import stringWidth from 'string-width'
import { compareBytes } from '../core/canonical.ts'
import { MillraceError, printable } from '../core/errors.ts'
import type { TextWriter } from './format.ts'

const WIDTH = 80
const GAP = 2
const DEFAULT_ROWS = 20

/**
 * Rows as a table of at most 80 columns, for people. It keeps the rows that it will show and nothing else: the first `limit` as they
 * come, or the first by a column: numbers
 * greatest first, texts in order. What is too wide is cut with `…`; control characters are shown as escapes.
 */
export function openTable(options: {
  readonly columns?: readonly string[] | undefined
  readonly sort?: string | undefined
  readonly limit?: number | undefined
}): TextWriter {
  const { columns, sort, limit = DEFAULT_ROWS } = options
  if (!Number.isInteger(limit) || limit < 1)
    throw new MillraceError('MLR_ERR_USAGE', `a table shows a whole number of rows, at least 1; got ${limit}`)
  const before = sort === undefined ? undefined : order(sort)
  const kept: Record<string, unknown>[] = []
  let all = 0
  return {
    value: (value) => {
      all++
      const row =
        value !== null && typeof value === 'object' && !Array.isArray(value)
          ? (value as Record<string, unknown>)
          : { value }
      if (before === undefined) {
        if (kept.length < limit) kept.push(row)
      } else if (kept.length < limit || before(row, kept.at(-1) as Record<string, unknown>) < 0) {
        const at = kept.findIndex((other) => before(row, other) < 0)
        kept.splice(at === -1 ? kept.length : at, 0, row)
        if (kept.length > limit) kept.pop()
      }
      return ''
    },
    removed: () => '',
    end: () => (all === 0 ? '(no rows)\n' : draw(kept, columns ?? columnsOf(kept), all)),
  }
}

function order(column: string): (a: Record<string, unknown>, b: Record<string, unknown>) => number {
  return (a, b) => {
    const x = a[column]
    const y = b[column]
    return typeof x === 'number' && typeof y === 'number' ? y - x : compareBytes(String(x), String(y))
  }
}

function columnsOf(rows: readonly Record<string, unknown>[]): readonly string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))]
}

function draw(rows: readonly Record<string, unknown>[], columns: readonly string[], all: number): string {
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
