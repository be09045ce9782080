import { LineCutter } from '../core/line-cutter.ts'
import { createOperator, type Operator, type OperatorOptions } from '../core/operator.ts'
import { notUtf8 } from '../formats/lines.ts'

/**
 * Cuts chunks of text or bytes into lines, wherever the chunks were cut.
 *
 * Chunks → lines without their ends; order kept. State: the line that is not ended yet, per source. In batch: map side. A line ends
 * at LF only, one CR before it belongs to the end; blank lines (spaces, TABs, CRs) are dropped; a byte-order mark is ignored at the
 * very start; a last line without LF counts. A line that is not valid UTF-8 is by `onError` skipped and counted (the default).
 *
 * Sources of files and stdin give lines already: this is for bytes that come out of something else, such as `through`.
 *
 * @example
 * ```ts
 * const words = from(memory(['to be\nor', ' not\n'])).pipe(lines()) // 'to be', 'or not'
 * ```
 */
export function lines(options: OperatorOptions = {}): Operator<Uint8Array | string, string> {
  return createOperator<Uint8Array | string, string>({
    kind: 'stateless',
    label: 'lines',
    onError: 'skip',
    ...options,
    open: (emit, context) => {
      const cutter = new LineCutter()
      const give = (line: string | Uint8Array): void => {
        if (typeof line === 'string') emit(line)
        else context.reject(notUtf8(), line)
      }
      return {
        process: (chunk) => {
          for (const line of cutter.push(chunk)) give(line)
        },
        flush: () => {
          const last = cutter.end()
          if (last !== undefined) give(last)
        },
      }
    },
  })
}
