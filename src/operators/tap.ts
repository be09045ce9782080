import { checkCallback, createOperator, labelOf, type Operator, type OperatorOptions } from '../core/operator.ts'
import type { RecordInfo } from '../core/record.ts'

/**
 * Shows each value to a function and passes it on unchanged: for logs and counters, not for effects that must happen exactly once.
 *
 * One to one, order kept. Stateless. In batch: where it stands, in the process that runs it.
 *
 * @example
 * ```ts
 * const seen: number[] = []
 * const numbers = from(memory([1, 2])).pipe(tap((n) => { seen.push(n) }))
 * ```
 */
export function tap<T>(fn: (value: T, record: RecordInfo) => void, options: OperatorOptions = {}): Operator<T, T> {
  checkCallback('tap', fn)
  return createOperator<T, T>({
    kind: 'stateless',
    label: labelOf('tap', fn),
    ...options,
    open: (emit, context) => {
      const { record } = context
      return {
        process: (value) => {
          try {
            fn(value, record)
          } catch (error) {
            context.reject(error, value)
            return
          }
          emit(value)
        },
      }
    },
  })
}
