import { BSON } from 'mongodb'
import { MillraceError } from '../core/errors.ts'
import { type Key, keyText } from '../core/key.ts'
import type { Lineage, Output, Version } from './sink.ts'

export type Id = string | number

/** What a document may take; the driver's own check says only that an offset is out of bounds. */
const MOST_BYTES = 16 * 1024 * 1024
/** A text of JSON that is shorter makes no document that is too large: an element of an array takes 16 bytes at most for its two. */
const SMALL_TEXT = MOST_BYTES / 8

/** A document as text, where MongoDB takes it. */
function lineOf(what: string, id: Id, document: object | null, line: string): string {
  if (line.length <= SMALL_TEXT || document === null) return line
  const bytes = BSON.calculateObjectSize({ _id: id, ...document, _v: 1.5 })
  if (bytes <= MOST_BYTES) return line
  const megabytes = (bytes / 1024 / 1024).toFixed(1)
  throw new MillraceError(
    'MLR_ERR_OUTPUT_WRITE',
    `the ${what} of ${JSON.stringify(id)} would be a document of ${megabytes} MB, and MongoDB takes 16 — keep less in it`,
  )
}

const NOWHERE: Lineage = { source: '', partition: 'events', position: 0 }

/** What was put out, as lines of JSON: `[id, document or null]` of a row, the document of an event. */
export function* linesOf(output: Output, generation: number): Generator<string> {
  if (output.kind === 'rows') {
    for (const { key, index, value } of output.changes) {
      const [id, document] = [idOf(key, index), value === undefined ? null : documentOf(value)]
      yield lineOf('row', id, document, JSON.stringify([id, document]))
    }
    return
  }
  let [last, index] = ['', 0]
  for (let i = 0; i < output.values.length; i++) {
    const { partition, identity, position } = output.lineageOf?.(i) ?? NOWHERE
    const at = typeof position === 'object' && position !== null ? (position as { offset?: unknown }).offset : position
    const record = `${generation > 1 ? `g${generation}/` : ''}${identity ?? partition}/${String(at)}`
    index = record === last ? index + 1 : 0
    last = record
    const id = index === 0 ? record : `${record}/${index}`
    const document = documentOf(output.values[i])
    yield lineOf('event', id, document, JSON.stringify({ _id: id, ...document }))
  }
}

/** What MongoDB stores is an object; `_id`, `_v` and `_gone` are the sink's own. */
export function documentOf(value: unknown): object {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return { value }
  for (const name of ['_id', '_v', '_gone']) {
    if (Object.hasOwn(value, name))
      throw new MillraceError(
        'MLR_ERR_OUTPUT_WRITE',
        `a row has the member '${name}', which is the sink's own — map the row to other names`,
      )
  }
  return value
}

/**
 * The key where it is a text or a number, else its canonical text. A text that could be taken for such a canonical text is written as JSON, so
 * no two keys have one id.
 */
export function idOf(key: Key, index: number): Id {
  if (index > 0) return keyText([key, index])
  if (typeof key === 'number') return key
  if (typeof key === 'string' && !/^(["[]|true$|false$)/.test(key)) return key
  return keyText(key)
}

/** Versions as one number, in their order: up to 8191 generations of a million million numbers. */
export function numberOf({ generation, number }: Version): number {
  return generation * 2 ** 40 + number
}
