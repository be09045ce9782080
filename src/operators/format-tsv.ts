import { createOperator, type Operator, type OperatorOptions } from '../core/operator.ts'
import { formatTsvLine } from '../formats/tsv.ts'

export interface FormatTsvOptions extends OperatorOptions {
  /** Which members, in which order. Default: all, in the order of each object. */
  readonly columns?: readonly string[]
}

/**
 * Writes each row as one line of tab-separated values, LF at its end.
 *
 * Object, array or plain value → text, one to one, order kept. Stateless. In batch: where it stands. Backslash, TAB, LF and CR inside
 * a cell are written `\\`, `\t`, `\n`, `\r`; null is an empty cell; objects inside are JSON.
 *
 * @example
 * ```ts
 * const lines = from(memory([{ user: 'ann', n: 2 }])).pipe(formatTsv({ columns: ['n', 'user'] })) // '2\tann\n'
 * ```
 */
export function formatTsv(options: FormatTsvOptions = {}): Operator<unknown, string> {
  const { columns, ...rest } = options
  return createOperator<unknown, string>({
    kind: 'stateless',
    label: 'formatTsv',
    ...rest,
    open: (emit, context) => ({
      process: (value) => {
        let line: string
        try {
          line = `${formatTsvLine(value, columns)}\n`
        } catch (error) {
          context.reject(error, value)
          return
        }
        emit(line)
      },
    }),
  })
}
