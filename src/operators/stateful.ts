import { MillraceError, show } from '../core/errors.ts'
import type { Key, Keyed } from '../core/key.ts'
import {
  createOperator,
  type Emit,
  type Operator,
  type OperatorContext,
  type OperatorOptions,
} from '../core/operator.ts'
import type { RecordInfo } from '../core/record.ts'
import { MemoryStateStore } from '../core/state-store.ts'
import { emittedNothing } from '../core/steps.ts'

/** One value that an operator keeps for each key. */
export interface ValueState<T> {
  /** The value of the current key, or undefined where there is none. Changed in place it is not noticed: `set` it. */
  get(): T | undefined
  /** Keeps a JSON value for the current key. */
  set(value: T): void
  /** The current key has none any more. */
  delete(): void
}

export interface StatefulContext<K> extends Omit<OperatorContext, 'keyedState'> {
  /** The key of the record that is being processed. */
  readonly key: K
  /** A state of this name, one value a key. Ask for it in `open`, once. */
  state<T>(name: string): ValueState<T>
}

export interface StatefulInit<K, In, Out> extends OperatorOptions {
  /** Called for each opening; returns what takes one record after the other. What it keeps between records belongs into `context.state`. */
  readonly open: (emit: Emit<Out>, context: StatefulContext<K>) => { readonly process: (record: Keyed<K, In>) => void }
  /** A record's time in ms since the epoch: the order of a batch. Default: the source's own time of the record. */
  readonly time?: (value: In, record: RecordInfo) => number | undefined
  /** Raise it when the state means something else: a start with the old state is refused then. Default 1. */
  readonly version?: number
}

/**
 * Your own keyed logic: sees the records of each key one after the other, and keeps values for it.
 *
 * `{ key, value }` → zero or more values. Keyed; not after an aggregate, for rows replace each other. State: what `context.state` holds, a
 * JSON value for each name and key, in every checkpoint; in memory, so the keys must fit there (6 million with a number each in 2 GB:
 * docs/stateful.md).
 *
 * Order: as a stream, as the records come. In a batch all of a key's records come sorted by `time`, those of one time by the canonical bytes of
 * the value, and those without a time first; each crosses as its JSON text. So both give the same where each key's records came in that order.
 *
 * What `process` throws is by `onError` the end of the run or a record that is skipped and counted.
 *
 * @example
 * ```ts
 * const repeats = from(memory([{ user: 'ann', page: '/a' }, { user: 'ann', page: '/a' }]))
 *   .pipe(keyBy((click) => click.user))
 *   .pipe(stateful<string, { page: string }, { user: string; page: string }>({
 *     name: 'repeats',
 *     open: (emit, context) => {
 *       const last = context.state<string>('last')
 *       return {
 *         process: ({ key, value }) => {
 *           if (last.get() === value.page) emit({ user: key, page: value.page })
 *           last.set(value.page)
 *         },
 *       }
 *     },
 *   })) // { user: 'ann', page: '/a' }
 * ```
 */
export function stateful<K extends Key, In, Out>(init: StatefulInit<K, In, Out>): Operator<Keyed<K, In>, Out> {
  const { open, time, version = 1, ...options } = init ?? {}
  if (typeof open !== 'function')
    throw new MillraceError('MLR_ERR_PLAN', `stateful takes { open: (emit, context) => … }; got ${show(init)}`)
  return createOperator<Keyed<K, In>, Out>({
    kind: 'ordered',
    label: 'stateful',
    ...options,
    version,
    ...(time === undefined ? {} : { timeOf: time as (value: unknown, record: RecordInfo) => number | undefined }),
    open: (emit, given) => {
      const store = given.keyedState ?? new MemoryStateStore()
      let current: K | undefined
      const key = (): K => {
        if (current === undefined)
          throw new MillraceError('MLR_ERR_OPERATOR', 'a state belongs to a key: use it inside of process')
        return current
      }
      const context: StatefulContext<K> = {
        record: given.record,
        get watermark() {
          return given.watermark
        },
        get key() {
          return key()
        },
        count: given.count,
        side: given.side,
        at: given.at,
        reject: given.reject,
        state: <T>(name: string): ValueState<T> => ({
          get: () => store.get(key(), name) as T | undefined,
          set: (value) => {
            if (value === undefined) store.delete(key(), name)
            else store.set(key(), name, value)
          },
          delete: () => store.delete(key(), name),
        }),
      }
      const checked: Emit<Out> = (value) => {
        if (value === null || value === undefined) throw emittedNothing(value as null | undefined)
        emit(value)
      }
      const { process } = open(checked, context)
      return {
        process: (record) => {
          current = record.key
          try {
            process(record)
          } catch (error) {
            // An error that says where it comes from is a later operator's.
            if (error instanceof MillraceError && error.where !== undefined) throw error
            given.reject(error, record.value)
          } finally {
            current = undefined
          }
        },
      }
    },
  })
}
