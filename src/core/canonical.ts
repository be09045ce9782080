import stringify from 'fast-json-stable-stringify'

/**
 * The canonical JSON text of a value: members sorted, no spaces. One value has one text, so texts decide ties and identity.
 * What JSON cannot hold is as in `JSON.stringify`; a value that has no JSON text at all counts as null.
 */
export function canonicalText(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  return stringify(value) ?? 'null'
}

/**
 * Orders two texts by their UTF-8 bytes, as Hadoop's `Text` and `LC_ALL=C sort` do. JavaScript's `<` goes by UTF-16 code units,
 * which puts astral characters (surrogates, U+D800…) before U+E000…U+FFFF; in UTF-8 they come after.
 */
export function compareBytes(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

function rank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x10000 : unit
}

/** Orders two values by the bytes of their canonical texts: the tie-break everywhere. */
export function compareCanonical(a: unknown, b: unknown): number {
  return a === b ? 0 : compareBytes(canonicalText(a), canonicalText(b))
}
