import type { Aggregate } from '../core/aggregate.ts'
import { addExact, checkNumber, roundExact } from './exact-sum.ts'

/**
 * The arithmetic mean of a number of each value: the exact sum, rounded, divided by the count. Accumulator: `[count, …partial sums]`.
 * A value that is no finite number fails the run. The mean of nothing is `null`.
 *
 * @example
 * ```ts
 * const prices = from(memory([1, 2, 6])).pipe(keyBy(() => 'all')).pipe(aggregate(mean((price) => price))) // value: 3
 * ```
 */
export function mean<In>(of: (value: In) => number): Aggregate<In, MeanAccumulator, number | null> {
  return {
    name: 'mean',
    init: () => ({ count: 0, sum: [] }),
    add: (acc, value) => {
      addExact(acc.sum, checkNumber(of(value), 'mean'))
      acc.count++
      return acc
    },
    merge: (left, right) => {
      right.sum.reduce(addExact, left.sum)
      left.count += right.count
      return left
    },
    remove: (acc, value) => {
      addExact(acc.sum, -checkNumber(of(value), 'mean'))
      acc.count--
      return acc
    },
    finish: ({ count, sum }) => (count === 0 ? null : roundExact(sum) / count),
  }
}

export interface MeanAccumulator {
  count: number
  readonly sum: number[]
}
