import { createStep, type Operator, type OperatorOptions } from '../core/operator.ts'
import type { RecordInfo } from '../core/record.ts'

/**
 * Turns each value into another.
 *
 * One to one, order kept. Stateless. On a table it maps each row, whose identity stays its key. In batch: where it stands.
 *
 * Fails with `MLR_ERR_OPERATOR` where the function throws, `MLR_ERR_EMITTED_NOTHING` where it gives null or undefined; by `onError`
 * the run ends (the default) or the record is skipped and counted.
 *
 * @example
 * ```ts
 * const prices = from(memory([{ price: 3 }])).pipe(map((click) => click.price)) // Stream<number>
 * ```
 * @see flatMap for none or many, mapAsync for what must be waited for
 */
export function map<In, Out>(
  fn: (value: In, record: RecordInfo) => Out,
  options: OperatorOptions = {},
): Operator<In, Out> {
  return createStep('map', fn, options)
}
