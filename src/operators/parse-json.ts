import { createOperator, type Operator, type OperatorOptions } from '../core/operator.ts'
import { DEFAULT_MAX_DEPTH, parseJsonText, parseObjectLines } from '../formats/json.ts'

export interface ParseJsonOptions extends OperatorOptions {
  /** Texts that are nested deeper are malformed. Default 1000. */
  readonly maxDepth?: number
}

/**
 * Parses each text as one JSON text.
 *
 * Text (string or UTF-8 bytes) → value: one to one, or to none; order kept. Stateless. In batch: map side.
 *
 * A text that is not valid UTF-8, not exactly one JSON text, or too deep is malformed: skipped and counted by default
 * (`onError: 'fail'` ends the run, a sink gets it as a dead letter). A text `null` is valid, but no value can be passed on: it is
 * dropped and counted as `null texts`. With a repeated member name the last one counts, as in `JSON.parse` (ECMA-262, 25.5.1).
 *
 * On a plain stream it cuts the chunks of a byte stream into lines by itself.
 *
 * @example
 * ```ts
 * process.stdin.pipe(parseJson()).on('data', (value) => console.error(value))
 * ```
 */
export function parseJson(options: ParseJsonOptions = {}): Operator<Uint8Array | string, unknown> {
  const { name, onError = 'skip', maxDepth = DEFAULT_MAX_DEPTH } = options
  return createOperator<Uint8Array | string, unknown>({
    kind: 'stateless',
    label: 'parseJson',
    name,
    onError,
    takesLines: true,
    open: (emit, context) => {
      const process = (input: Uint8Array | string): void => {
        let value: unknown
        try {
          value = parseJsonText(input, maxDepth)
        } catch (error) {
          context.reject(error, input)
          return
        }
        if (value === null) context.count('null texts')
        else emit(value)
      }
      return {
        process,
        processLines: (lines) => {
          const text = lines.hasLineOver(2 * maxDepth) ? undefined : lines.text
          const values = text === undefined ? undefined : parseObjectLines(text)
          if (values === undefined) {
            return lines.eachLine(
              (line, index) => {
                context.at(index)
                process(line)
              },
              (error, index) => {
                context.at(index)
                context.reject(error)
              },
            )
          }
          lines.setLineCount(values.length)
          for (let i = 0; i < values.length; i++) {
            context.at(i)
            emit(values[i])
          }
          return values.length
        },
      }
    },
  })
}
