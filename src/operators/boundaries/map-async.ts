import { MillraceError } from '../../core/errors.ts'
import {
  type AsyncProcessor,
  createOperator,
  type EmitFrom,
  labelOf,
  type Operator,
  type OperatorContext,
  type OperatorOptions,
} from '../../core/operator.ts'
import { Cursor, type RecordInfo } from '../../core/record.ts'
import { emittedNothing } from '../../core/steps.ts'
import { durationMs } from '../../core/time.ts'

export interface MapAsyncOptions extends OperatorOptions {
  /** How many calls run at once. Default 16. */
  readonly concurrency?: number
  /** How often a call that failed is tried again. Default 0. */
  readonly retries?: number
  /** How long before the first retry; each further one waits twice as long, up to a minute. Default '100ms'. */
  readonly backoff?: string | number
  /** How long one try may take. Default: no limit. */
  readonly timeout?: string | number
}

/** What the function gets besides the value. */
export interface AsyncCall {
  /** The record that the value came from: a value of its own, right for as long as you hold it. */
  readonly record: RecordInfo
  /** Aborted when the try has timed out or the run has ended: hand it to `fetch` and the like. */
  readonly signal: AbortSignal
}

const LONGEST_BACKOFF_MS = 60_000

/**
 * Turns each value into another that must be waited for: a look-up, a request.
 *
 * One to one, order kept. Bounded: at most `concurrency` calls run, and no more than that many results wait for an earlier one; then
 * the source is held back. State: the calls in flight. In batch: where it stands. Not repeatable: what it asks may answer otherwise
 * the next time.
 *
 * A call that throws is tried again `retries` times; then, or with `MLR_ERR_TIMEOUT`, the record is by `onError` the end of the run
 * (the default), skipped and counted, or a dead letter.
 *
 * @example
 * ```ts
 * const prices = from(memory(['tea', 'ink']))
 *   .pipe(mapAsync(async (product) => ({ product, price: await Promise.resolve(product.length) }), { concurrency: 4, timeout: '2s' }))
 * ```
 */
export function mapAsync<In, Out>(
  fn: (value: In, call: AsyncCall) => Promise<Out> | Out,
  options: MapAsyncOptions = {},
): Operator<In, Out> {
  const { name, onError, concurrency = 16, retries = 0 } = options
  if (typeof fn !== 'function') throw new MillraceError('MLR_ERR_PLAN', `mapAsync takes a function; got ${typeof fn}`)
  if (!Number.isInteger(concurrency) || concurrency < 1 || !Number.isInteger(retries) || retries < 0) {
    throw new MillraceError(
      'MLR_ERR_PLAN',
      'mapAsync: concurrency is a whole number of at least 1, retries of at least 0',
    )
  }
  const backoffMs = durationMs(options.backoff ?? 100)
  const timeoutMs = options.timeout === undefined ? undefined : durationMs(options.timeout)
  const label = labelOf('mapAsync', fn)

  const attempt = async (value: In, record: RecordInfo, ended: AbortSignal): Promise<Out> => {
    if (timeoutMs === undefined) return await fn(value, { record, signal: ended })
    const timedOut = new AbortController()
    const timer = Promise.withResolvers<never>()
    const timeout = setTimeout(() => {
      const error = new MillraceError('MLR_ERR_TIMEOUT', `took longer than its timeout of ${timeoutMs} ms`)
      timedOut.abort(error)
      timer.reject(error)
    }, timeoutMs)
    try {
      return await Promise.race([
        fn(value, { record, signal: AbortSignal.any([ended, timedOut.signal]) }),
        timer.promise,
      ])
    } finally {
      clearTimeout(timeout)
    }
  }

  const call = async (value: In, record: RecordInfo, ended: AbortSignal): Promise<Out> => {
    for (let failures = 0; ; failures++) {
      try {
        return await attempt(value, record, ended)
      } catch (error) {
        if (failures >= retries || ended.aborted) throw error
        await sleep(Math.min(backoffMs * 2 ** failures, LONGEST_BACKOFF_MS), ended)
      }
    }
  }

  return createOperator<In, Out>({
    kind: 'boundary',
    label,
    name,
    onError,
    repeatable: false,
    oneToOne: true,
    drains: true,
    open: () => {
      throw new MillraceError('MLR_ERR_PLAN', `${label} waits: it has no synchronous form`)
    },
    openAsync: (emit, context, failed) => inOrder(call, concurrency, emit, context, failed),
  })
}

interface Slot<In, Out> {
  readonly value: In
  readonly record: RecordInfo
  outcome: { readonly out: Out } | { readonly error: unknown } | undefined
}

/** Runs calls side by side and emits their results in the order of the values. */
function inOrder<In, Out>(
  call: (value: In, record: RecordInfo, ended: AbortSignal) => Promise<Out>,
  limit: number,
  emit: EmitFrom<Out>,
  context: OperatorContext,
  failed: (error: unknown) => void,
): AsyncProcessor<In> {
  const queue: Slot<In, Out>[] = []
  const end = new AbortController()
  let wake: { resolve: () => void; reject: (error: unknown) => void } | undefined
  let failure: { readonly error: unknown } | undefined

  const drain = (): void => {
    try {
      for (let slot = queue[0]; slot?.outcome !== undefined; slot = queue[0]) {
        queue.shift()
        if ('error' in slot.outcome) context.reject(slot.outcome.error, slot.value, slot.record)
        else {
          const { out } = slot.outcome
          if (out === null || out === undefined)
            context.reject(emittedNothing(out as null | undefined), slot.value, slot.record)
          else emit(out, slot.record)
        }
      }
    } catch (error) {
      failure ??= { error }
      end.abort()
      if (wake === undefined) failed(error)
    }
    if (failure !== undefined) wake?.reject(failure.error)
    else wake?.resolve()
    wake = undefined
  }
  const progress = (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    wake = { resolve, reject }
    return promise
  }
  const emptied = async (): Promise<void> => {
    while (queue.length > 0) await progress()
    if (failure !== undefined) throw failure.error
  }
  return {
    process: (value) => {
      if (failure !== undefined) throw failure.error
      const record = context.record instanceof Cursor ? context.record.snapshot() : context.record
      const slot: Slot<In, Out> = { value, record, outcome: undefined }
      queue.push(slot)
      call(value, record, end.signal).then(
        (out) => {
          slot.outcome = { out }
          drain()
        },
        (error: unknown) => {
          slot.outcome = { error }
          drain()
        },
      )
      if (queue.length < limit) return undefined
      return (async () => {
        while (queue.length >= limit) await progress()
      })()
    },
    flush: emptied,
    drain: emptied,
    destroy: () => end.abort(),
  }
}

function sleep(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms)
    function done(): void {
      ended.removeEventListener('abort', stop)
      resolve()
    }
    function stop(): void {
      clearTimeout(timer)
      reject(ended.reason)
    }
    ended.addEventListener('abort', stop, { once: true })
  })
}
