import { checkKey, type Key, type Keyed } from '../core/key.ts'
import { checkCallback, createOperator, labelOf, type Operator, type OperatorOptions } from '../core/operator.ts'
import type { RecordInfo } from '../core/record.ts'

/**
 * Says by what the values belong together.
 *
 * Value → `{ key, value }`, one to one, order kept. Stateless. In batch: the end of the map side. A key is a string, a finite number,
 * a boolean or an array of those; strings and numbers are different keys ("10" is not 10), `__proto__` is an ordinary one. Anything
 * else fails with `MLR_ERR_KEY`, by `onError`.
 *
 * @example
 * ```ts
 * const byUser = from(memory([{ user: 'ann', n: 1 }])).pipe(keyBy((click) => click.user)) // { key: 'ann', value: … }
 * ```
 */
export function keyBy<In, const K extends Key>(
  fn: (value: In, record: RecordInfo) => K,
  options: OperatorOptions = {},
): Operator<In, Keyed<K, In>> {
  checkCallback('keyBy', fn)
  const keyOf = (value: In, record: RecordInfo): Key => {
    const key: Key = fn(value, record)
    return typeof key === 'string' ? key : checkKey(key)
  }
  return createOperator<In, Keyed<K, In>>({
    kind: 'key',
    label: labelOf('keyBy', fn),
    ...options,
    keyOf,
    open: (emit, context) => {
      const { record } = context
      return {
        process: (value) => {
          let key: Key
          try {
            key = keyOf(value, record)
          } catch (error) {
            context.reject(error, value)
            return
          }
          emit({ key: key as K, value })
        },
      }
    },
  })
}
