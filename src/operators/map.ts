import { isPromise } from 'node:util/types'
import { MillraceError } from '../core/errors.ts'
import {
  checkCallback,
  createOperator,
  emittedNothing,
  labelOf,
  type Operator,
  type OperatorOptions,
} from '../core/operator.ts'
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
  checkCallback('map', fn)
  return createOperator<In, Out>({
    kind: 'stateless',
    label: labelOf('map', fn),
    ...options,
    open: (emit, context) => {
      const { record } = context
      let first = true
      return {
        process: (value) => {
          let out: Out
          try {
            out = fn(value, record)
            if (first) {
              first = false
              if (isPromise(out)) throw new MillraceError('MLR_ERR_OPERATOR', 'gave a promise — use mapAsync')
            }
          } catch (error) {
            context.reject(error, value)
            return
          }
          if (out === null || out === undefined) context.reject(emittedNothing(out as null | undefined), value)
          else emit(out)
        },
      }
    },
  })
}
