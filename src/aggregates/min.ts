import type { Aggregate } from '../core/aggregate.ts'
import { extreme } from './extremes.ts'

/**
 * The least number. Accumulator: a number, or null before the first. A value that is no finite number fails the run.
 *
 * @example
 * ```ts
 * const cheapest = from(memory([3, 1, 2])).pipe(keyBy(() => 'all')).pipe(aggregate(min((price) => price))) // value: 1
 * ```
 * @see minBy for the value that has it
 */
export function min<In>(of: (value: In) => number): Aggregate<In, number | null, number | null> {
  return extreme('min', of)
}
