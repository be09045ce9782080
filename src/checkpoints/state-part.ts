import { keyText, parseKey } from '../core/key.ts'
import type { SavedRow } from '../core/keyed-state.ts'
import { Pieces } from '../core/pieces.ts'

/**
 * State as lines: `table TAB key TAB accumulator TAB sent`, all JSON, so no TAB or LF is inside. A row that is gone has an empty
 * accumulator. Of several lines of a table and key the last one counts.
 */
export function stateLine(table: string, { key, accumulator, sent }: SavedRow): string {
  return `${JSON.stringify(table)}\t${keyText(key)}\t${accumulator ?? ''}\t${sent.length === 0 ? '' : JSON.stringify(sent)}\n`
}

export interface StateLine {
  /** Table and key as they are written: equal for equal ones. */
  readonly id: string
  readonly table: string
  readonly row: SavedRow
  /** The line itself, with its end. */
  readonly text: string
}

/** The lines of a part. */
export function* stateLines(part: string): Generator<StateLine> {
  let [tableText, table] = ['', '']
  for (let start = 0; start < part.length; ) {
    const end = part.indexOf('\n', start)
    const text = part.slice(start, end + 1)
    start = end + 1
    const afterTable = text.indexOf('\t')
    const afterKey = text.indexOf('\t', afterTable + 1)
    const afterAccumulator = text.indexOf('\t', afterKey + 1)
    if (text.slice(0, afterTable) !== tableText) {
      tableText = text.slice(0, afterTable)
      table = JSON.parse(tableText) as string
    }
    const accumulator = text.slice(afterKey + 1, afterAccumulator)
    const sent = text.slice(afterAccumulator + 1, -1)
    yield {
      id: text.slice(0, afterKey),
      table,
      row: {
        key: parseKey(text.slice(afterTable + 1, afterKey)),
        accumulator: accumulator === '' ? null : accumulator,
        sent: sent === '' ? [] : (JSON.parse(sent) as unknown[]),
      },
      text,
    }
  }
}

/**
 * The last line of each table and key, of parts from the oldest to the newest; in pieces, at least one. With the first part in it, rows that
 * are gone go.
 */
export function mergeStateLines(parts: readonly string[], fromTheFirst: boolean): readonly string[] {
  const last = new Map<string, string>()
  for (const part of parts) {
    for (let start = 0; start < part.length; ) {
      const end = part.indexOf('\n', start)
      const afterKey = part.indexOf('\t', part.indexOf('\t', start) + 1)
      last.set(part.slice(start, afterKey), part.slice(start, end + 1))
      start = end + 1
    }
  }
  const merged = new Pieces()
  for (const [prefix, line] of last) if (!fromTheFirst || line[prefix.length + 1] !== '\t') merged.add(line)
  const pieces = merged.end()
  return pieces.length === 0 ? [''] : pieces
}
