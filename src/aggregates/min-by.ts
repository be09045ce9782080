import type { Aggregate } from '../core/aggregate.ts'
import { checkNumber } from './exact-sum.ts'
import { pick } from './picked.ts'

/**
 * The value with the least number; of equal numbers the one whose canonical JSON text is greater by bytes. Accumulator:
 * `[-number, value]`. What is no finite number fails the run.
 *
 * @example
 * ```ts
 * const cheapest = from(memory([{ id: 'a', price: 3 }, { id: 'b', price: 9 }]))
 *   .pipe(keyBy(() => 'all'))
 *   .pipe(aggregate(minBy((product) => product.price))) // value: { id: 'a', price: 3 }
 * ```
 */
export function minBy<In>(by: (value: In) => number): Aggregate<In, unknown, In> {
  return pick<In, In>({
    name: 'minBy',
    of: (value) => value,
    rank: (value) => 0 - checkNumber(by(value), 'minBy'),
    empty: null as In,
  }) as Aggregate<In, unknown, In>
}
