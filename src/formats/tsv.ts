import { MillraceError, show } from '../core/errors.ts'
import { formatJsonLine } from './json.ts'

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/**
 * One cell: backslash, TAB, LF and CR are written `\\`, `\t`, `\n`, `\r`; null and undefined are empty, objects are JSON. Half of a
 * surrogate pair, which UTF-8 cannot hold, is written `\ud800`: two texts never look the same.
 */
export function formatTsvCell(value: unknown): string {
  if (value === null || value === undefined) return ''
  const text = typeof value === 'string' ? value : typeof value === 'object' ? formatJsonLine(value) : String(value)
  const escaped = /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, (c) => ESCAPES[c] as string) : text
  return escaped.isWellFormed()
    ? escaped
    : escaped.replace(/\p{Surrogate}/gu, (c) => `\\u${c.charCodeAt(0).toString(16)}`)
}

/**
 * One row → one line without its line end. An object gives the named columns, or all its members in their order; an array its
 * elements; anything else is a row of one cell.
 */
export function formatTsvLine(value: unknown, columns?: readonly string[]): string {
  if (typeof value === 'function' || typeof value === 'symbol') {
    throw new MillraceError('MLR_ERR_FORMAT', `cannot be written as TSV: ${show(value)}`)
  }
  if (value === null || typeof value !== 'object') return formatTsvCell(value)
  if (Array.isArray(value)) return value.map(formatTsvCell).join('\t')
  const row = value as Record<string, unknown>
  return (columns ?? Object.keys(row))
    .map((name) => formatTsvCell(Object.hasOwn(row, name) ? row[name] : undefined))
    .join('\t')
}
