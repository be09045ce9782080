import { createStep, type Operator, type OperatorOptions } from '../core/operator.ts'
import type { RecordInfo } from '../core/record.ts'

/**
 * Keeps the values whose predicate is true; a type guard narrows the stream's type.
 *
 * One to one or none, order kept. Stateless. On a table, a row whose predicate turns false is removed downstream. In batch: where
 * it stands. A predicate that gives anything but a boolean is an error: a forgotten `return` would otherwise drop everything.
 *
 * @example
 * ```ts
 * const isText = (value: unknown): value is string => typeof value === 'string'
 * const texts = from(memory<unknown>(['a', 1])).pipe(filter(isText)) // Stream<string>
 * ```
 */
export function filter<In, Out extends In>(
  guard: (value: In, record: RecordInfo) => value is Out,
  options?: OperatorOptions,
): Operator<In, Out>
export function filter<In>(
  predicate: (value: In, record: RecordInfo) => boolean,
  options?: OperatorOptions,
): Operator<In, In>
export function filter<In>(
  predicate: (value: In, record: RecordInfo) => boolean,
  options: OperatorOptions = {},
): Operator<In, In> {
  return createStep('filter', predicate, options)
}
