import type { Aggregate } from '../core/aggregate.ts'
import { checkNumber } from './exact-sum.ts'
import { pick } from './picked.ts'

/**
 * The value with the greatest number; of equal numbers the one whose canonical JSON text is greater by bytes. Accumulator:
 * `[number, value]`. What is no finite number fails the run.
 *
 * @example
 * ```ts
 * const dearest = from(memory([{ id: 'a', price: 3 }, { id: 'b', price: 9 }]))
 *   .pipe(keyBy(() => 'all'))
 *   .pipe(aggregate(maxBy((product) => product.price))) // value: { id: 'b', price: 9 }
 * ```
 */
export function maxBy<In>(by: (value: In) => number): Aggregate<In, unknown, In> {
  return pick<In, In>({
    name: 'maxBy',
    of: (value) => value,
    rank: (value) => checkNumber(by(value), 'maxBy') + 0,
    empty: null as In,
  }) as Aggregate<In, unknown, In>
}
