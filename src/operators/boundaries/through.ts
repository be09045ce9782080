import { createRequire } from 'node:module'
import type { Duplex } from 'node:stream'
import { finished } from 'node:stream/promises'
import type Pumpify from 'pumpify'
import { MillraceError, reasonOf } from '../../core/errors.ts'
import { createOperator, type Operator, type OperatorOptions } from '../../core/operator.ts'
import { Cursor, type RecordInfo } from '../../core/record.ts'

const require = createRequire(import.meta.url)

/**
 * Sends the values through somebody else's stream, or through several, one after the other.
 *
 * Value → whatever the stream gives; number and order are the stream's. Each opening makes a stream of its own. State: the stream's.
 * In batch: map side. Not repeatable, for we can't know. Its output is not tied to single records: `record` after it tells the source
 * and the partition, and the position of the last record that went in. An error of the stream ends the run.
 *
 * @example
 * ```ts
 * import { createGunzip } from 'node:zlib'
 * const unpacked = from(memory<Uint8Array>([])).pipe(through(() => createGunzip())).pipe(lines())
 * ```
 */
export function through<In, Out = Uint8Array>(
  make: () => Duplex | readonly Duplex[],
  options: OperatorOptions = {},
): Operator<In, Out> {
  if (typeof make !== 'function') {
    throw new MillraceError(
      'MLR_ERR_PLAN',
      'through takes a function that makes a stream, for a stream can be used only once: through(() => createGunzip())',
    )
  }
  return createOperator<In, Out>({
    kind: 'boundary',
    label: 'through',
    ...options,
    repeatable: false,
    open: () => {
      throw new MillraceError('MLR_ERR_PLAN', 'through waits: it has no synchronous form')
    },
    openAsync: (emit, context, failed) => {
      const made = make()
      const stream = 'length' in made ? oneOf(made) : made
      let last: RecordInfo = context.record
      let failure: { readonly error: unknown } | undefined
      const fail = (error: unknown): void => {
        if (failure === undefined) failed(error)
        failure ??= { error }
      }
      stream.on('data', (out: Out) => {
        try {
          emit(out, last)
        } catch (error) {
          fail(error)
          stream.destroy()
        }
      })
      const ended = finished(stream).catch((error: unknown) =>
        fail(new MillraceError('MLR_ERR_OPERATOR', `the stream failed: ${reasonOf(error)}`, { cause: error })),
      )
      const check = (): void => {
        if (failure !== undefined) throw failure.error
      }
      return {
        process: (value) => {
          check()
          last = context.record instanceof Cursor ? context.record.snapshot() : context.record
          if (stream.destroyed || stream.write(value)) return undefined
          return Promise.race([new Promise<void>((resolve) => stream.once('drain', resolve)), ended]).then(check)
        },
        flush: async () => {
          stream.end()
          await ended
          check()
        },
        destroy: (error) => void stream.destroy(error),
      }
    },
  })
}

/** Several streams as one. `stream.compose` loses the errors of the last one; pumpify hands on all of them, and endings too. */
function oneOf(streams: readonly Duplex[]): Duplex {
  const [first, second] = streams
  if (first === undefined) throw new MillraceError('MLR_ERR_PLAN', 'through: the function gave no stream')
  if (second === undefined) return first
  // Loaded when used: it brings a stream library of its own, a tenth of the time in which a mapper starts.
  const pumpify = require('pumpify') as typeof Pumpify
  return new pumpify.obj([...streams]) as unknown as Duplex
}
