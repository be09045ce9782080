import stringWidth from 'string-width'
import { expect, it } from 'vitest'
import { openFormat } from '../../src/formats/format.ts'
import { formatTsvLine } from '../../src/formats/tsv.ts'

const table = (
  rows: readonly unknown[],
  options: { sort?: string; limit?: number; columns?: string[] } = {},
): string => {
  const writer = openFormat({ format: 'table', ...options })
  return rows.map((row) => writer.value(row)).join('') + writer.end()
}

it('tsv writes backslash, TAB, LF and CR as \\\\ \\t \\n \\r', () => {
  expect(formatTsvLine({ a: 'x\ty', b: 'p\\q', c: 'l\nm\rn' })).toBe('x\\ty\tp\\\\q\tl\\nm\\rn')
})

it('tsv writes half of a surrogate pair so that it can be told from any other text', () => {
  expect(formatTsvLine(['\ud800', '\\ud800', '\u{1f600}\udfff'])).toBe('\\ud800\t\\\\ud800\t\u{1f600}\\udfff')
})

it('tsv takes objects, arrays and plain values; null is empty, objects inside are JSON', () => {
  expect(formatTsvLine([1, null, undefined, true, { a: '\t' }])).toBe('1\t\t\ttrue\t{"a":"\\\\t"}')
  expect(formatTsvLine('x')).toBe('x')
  expect(formatTsvLine({ a: 1, b: 2 }, ['b', 'toString', 'a'])).toBe('2\t\t1')
})

it('json refuses what has no JSON text', () => {
  const json = openFormat({ format: 'json' })
  expect(json.value({ a: undefined, b: '\u2028' })).toBe('{"b":"\u2028"}\n')
  expect(() => json.value(1n)).toThrow('cannot be written as JSON')
  expect(() => json.value(() => 1)).toThrow('function has no JSON text')
})

it('lines writes texts as they are, with one LF', () => {
  const lines = openFormat({ format: 'lines' })
  expect([lines.value('a'), lines.value('b\n'), lines.value(Buffer.from('é')), lines.value({ a: 1 })]).toEqual([
    'a\n',
    'b\n',
    'é\n',
    '{"a":1}\n',
  ])
})

it('a table is at most 80 columns wide, whatever is in it', () => {
  const drawn = table([
    { name: 'x'.repeat(300), n: 1, wide: '漢字'.repeat(40) },
    { name: '\u001b[31mred\u001b[0m\n', n: 22, wide: '👩‍👩‍👧'.repeat(30) },
  ])
  for (const line of drawn.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(80)
  expect(drawn).toContain('…')
  expect(drawn).not.toContain('\u001b')
  expect(drawn).toContain('\\u001b[31mred')
})

it('a table shows the first rows by a column, and says how many more there are', () => {
  const rows = Array.from({ length: 30 }, (_, i) => ({ page: `/${i}`, hits: (i * 7) % 30 }))
  expect(table(rows, { sort: 'hits', limit: 3 })).toBe(
    'page  hits\n────  ────\n/17     29\n/4      28\n/21     27\n… and 27 more rows\n',
  )
  expect(table([], {})).toBe('(no rows)\n')
})
