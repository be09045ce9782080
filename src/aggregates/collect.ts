import type { Aggregate } from '../core/aggregate.ts'
import { canonicalText, compareBytes } from '../core/canonical.ts'
import { MillraceError } from '../core/errors.ts'
import { insertBounded } from './bounded-list.ts'

/**
 * The values themselves, as an array in the order of their canonical JSON texts, repeated ones repeated. Bounded: of more than `limit`
 * the first in that order stay. Accumulator: at most `limit` values.
 *
 * @example
 * ```ts
 * const pages = from(memory([{ user: 'ann', page: '/b' }, { user: 'ann', page: '/a' }]))
 *   .pipe(keyBy((click) => click.user))
 *   .pipe(aggregate(collect((click) => click.page, { limit: 100 }))) // { key: 'ann', value: ['/a', '/b'] }
 * ```
 */
export function collect<In, Out>(
  of: (value: In) => Out,
  options: { readonly limit: number },
): Aggregate<In, unknown, readonly Out[]> {
  const limit = options?.limit
  if (!Number.isInteger(limit) || limit < 1) {
    throw new MillraceError('MLR_ERR_PLAN', `collect takes { limit }, a whole number of at least 1; got ${limit}`)
  }
  // Held as canonical texts, which are compared at each step and parsed once, at the end.
  const add = (texts: string[], text: string): string[] => insertBounded(texts, text, limit, compareBytes)
  const collected: Aggregate<In, string[], readonly Out[]> = {
    name: `collect(${limit})`,
    init: () => [],
    add: (texts, value) => add(texts, canonicalText(of(value))),
    merge: (left, right) => right.reduce(add, left),
    finish: (texts) => texts.map((text) => JSON.parse(text) as Out),
  }
  return collected as Aggregate<In, unknown, readonly Out[]>
}
