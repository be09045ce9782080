import type { Aggregate } from '../core/aggregate.ts'
import { addExact, checkNumber, roundExact } from './exact-sum.ts'

/**
 * The sum of a number of each value, exact before one last rounding, so the order of additions cannot change it: 0.1 ten times is 1.
 * Accumulator: the partial sums. A value that is no finite number fails the run.
 *
 * @example
 * ```ts
 * const spent = from(memory([{ user: 'ann', price: 0.1 }, { user: 'ann', price: 0.2 }]))
 *   .pipe(keyBy((click) => click.user))
 *   .pipe(aggregate(sum((click) => click.price))) // { key: 'ann', value: 0.30000000000000004 }: 0.1 + 0.2, rounded once
 * ```
 */
export function sum<In>(of: (value: In) => number): Aggregate<In, readonly number[], number> {
  return {
    name: 'sum',
    init: () => [],
    add: (partials, value) => addExact(partials as number[], checkNumber(of(value), 'sum')),
    merge: (left, right) => right.reduce(addExact, left as number[]),
    remove: (partials, value) => addExact(partials as number[], -checkNumber(of(value), 'sum')),
    finish: roundExact,
  }
}
