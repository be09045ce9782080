import { MillraceError, show } from '../core/errors.ts'
import { checkCallback, createOperator, labelOf, type Operator, type OperatorOptions } from '../core/operator.ts'
import type { RecordInfo } from '../core/record.ts'
import { emittedNothing } from '../core/steps.ts'

/**
 * Turns each value into none, one or many.
 *
 * One to many, in the order of the iterable. Stateless. On a table each row gives rows, told apart by key and index. In batch: where
 * it stands. If the function throws half-way through a generator, nothing of that value is emitted.
 *
 * @example
 * ```ts
 * const words = from(memory(['to be', 'or not'])).pipe(flatMap((line) => line.split(' '))) // to, be, or, not
 * ```
 */
export function flatMap<In, Out>(
  fn: (value: In, record: RecordInfo) => Iterable<Out>,
  options: OperatorOptions = {},
): Operator<In, Out> {
  checkCallback('flatMap', fn)
  return createOperator<In, Out>({
    kind: 'stateless',
    label: labelOf('flatMap', fn),
    ...options,
    open: (emit, context) => {
      const { record } = context
      return {
        process: (value) => {
          let outs: readonly Out[]
          try {
            outs = toArray(fn(value, record))
          } catch (error) {
            context.reject(error, value)
            return
          }
          for (const out of outs) emit(out)
        },
      }
    },
  })
}

function toArray<Out>(given: Iterable<Out>): readonly Out[] {
  if (typeof given === 'string' || given === null || typeof given?.[Symbol.iterator] !== 'function') {
    throw new MillraceError('MLR_ERR_OPERATOR', `must give an array or another iterable; got ${show(given)}`)
  }
  const outs = Array.isArray(given) ? (given as readonly Out[]) : [...given]
  for (const out of outs) if (out === null || out === undefined) throw emittedNothing(out as null | undefined)
  return outs
}
