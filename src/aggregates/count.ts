import type { Aggregate } from '../core/aggregate.ts'

/**
 * How many values. Accumulator: a number.
 *
 * @example
 * ```ts
 * const clicks = from(memory(['ann', 'ann'])).pipe(keyBy((user) => user)).pipe(aggregate(count())) // { key: 'ann', value: 2 }
 * ```
 */
export function count(): Aggregate<unknown, number, number> {
  return COUNT
}

const COUNT: Aggregate<unknown, number, number> = {
  name: 'count',
  init: () => 0,
  add: (n) => n + 1,
  merge: (left, right) => left + right,
  remove: (n) => n - 1,
  finish: (n) => n,
}
