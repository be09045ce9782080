import { createOperator, type Operator, type OperatorOptions } from '../core/operator.ts'
import { formatJsonLine } from '../formats/json.ts'

/**
 * Writes each value as one line of JSON, LF at its end.
 *
 * Value → text, one to one, order kept. Stateless. In batch: where it stands. A value without a JSON text (a function, a cycle, a
 * BigInt) fails with `MLR_ERR_FORMAT`, by `onError`. For a sink of text lines: `stdout({ format: 'lines' })`.
 *
 * @example
 * ```ts
 * const lines = from(memory([{ a: 1 }])).pipe(formatJson()) // '{"a":1}\n'
 * ```
 */
export function formatJson(options: OperatorOptions = {}): Operator<unknown, string> {
  return createOperator<unknown, string>({
    kind: 'stateless',
    label: 'formatJson',
    ...options,
    open: (emit, context) => ({
      process: (value) => {
        let line: string
        try {
          line = `${formatJsonLine(value)}\n`
        } catch (error) {
          context.reject(error, value)
          return
        }
        emit(line)
      },
    }),
  })
}
