import type { Aggregate } from '../core/aggregate.ts'
import { extreme } from './extremes.ts'

/**
 * The greatest number. Accumulator: a number, or null before the first. A value that is no finite number fails the run.
 *
 * @example
 * ```ts
 * const dearest = from(memory([3, 1, 2])).pipe(keyBy(() => 'all')).pipe(aggregate(max((price) => price))) // value: 3
 * ```
 * @see maxBy for the value that has it
 */
export function max<In>(of: (value: In) => number): Aggregate<In, number | null, number | null> {
  return extreme('max', of)
}
