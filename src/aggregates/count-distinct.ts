import type { Aggregate } from '../core/aggregate.ts'
import { canonicalText, compareBytes } from '../core/canonical.ts'

/**
 * How many different values, exactly. Two are the same where their canonical JSON texts are. Accumulator: each different text with
 * how often it came, so memory follows the number of different values.
 *
 * @example
 * ```ts
 * const pages = from(memory([{ user: 'ann', page: '/a' }, { user: 'ann', page: '/a' }, { user: 'ann', page: '/b' }]))
 *   .pipe(keyBy((click) => click.user))
 *   .pipe(aggregate(countDistinct((click) => click.page))) // { key: 'ann', value: 2 }
 * ```
 */
export function countDistinct<In>(of: (value: In) => unknown): Aggregate<In, unknown, number> {
  const add = (times: Map<string, number>, text: string, by: number): Map<string, number> => {
    const now = (times.get(text) ?? 0) + by
    if (now === 0) times.delete(text)
    else times.set(text, now)
    return times
  }
  const distinct: Aggregate<In, Map<string, number>, number> = {
    name: 'countDistinct',
    init: () => new Map(),
    add: (times, value) => add(times, canonicalText(of(value)), 1),
    merge: (left, right) => {
      for (const [text, n] of right) add(left, text, n)
      return left
    },
    remove: (times, value) => add(times, canonicalText(of(value)), -1),
    finish: (times) => times.size,
    encode: (times) => [...times].sort(([a], [b]) => compareBytes(a, b)),
    decode: (json) => new Map(json as [string, number][]),
  }
  return distinct as Aggregate<In, unknown, number>
}
