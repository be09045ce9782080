import type { Aggregate } from '../core/aggregate.ts'
import { compareCanonical } from '../core/canonical.ts'
import { MillraceError } from '../core/errors.ts'
import { insertBounded } from './bounded-list.ts'
import { checkNumber } from './exact-sum.ts'

/**
 * The `n` values with the greatest numbers, greatest first; of equal numbers the one whose canonical JSON text is greater by bytes
 * comes first. Accumulator: at most `n` values. What is no finite number fails the run.
 *
 * @example
 * ```ts
 * const best = from(memory([{ page: '/a', hits: 1 }, { page: '/b', hits: 5 }, { page: '/c', hits: 3 }]))
 *   .pipe(keyBy(() => 'all'))
 *   .pipe(aggregate(top(2, (row) => row.hits))) // value: [{ page: '/b', hits: 5 }, { page: '/c', hits: 3 }]
 * ```
 */
export function top<In>(n: number, by: (value: In) => number): Aggregate<In, readonly In[], readonly In[]> {
  if (!Number.isInteger(n) || n < 1)
    throw new MillraceError('MLR_ERR_PLAN', `top takes a whole number of at least 1; got ${n}`)
  const rank = (value: In): number => checkNumber(by(value), 'top')
  const before = (a: In, b: In): number => rank(b) - rank(a) || compareCanonical(b, a)
  const add = (held: readonly In[], value: In): readonly In[] => {
    // Also the first value must have a number.
    rank(value)
    return insertBounded(held as In[], value, n, before)
  }
  return {
    name: `top(${n})`,
    init: () => [],
    add,
    merge: (left, right) => right.reduce(add, left),
    finish: (held) => [...held],
  }
}
