import { isMillraceError } from '../core/errors.ts'
import {
  createOperator,
  type Emit,
  type Operator,
  type OperatorContext,
  type OperatorOptions,
  type Processor,
} from '../core/operator.ts'
import { emittedNothing } from '../core/steps.ts'

export interface OperatorInit<In, Out> extends OperatorOptions {
  /** Opens it: called any number of times, and what it returns shares nothing with other openings. */
  readonly open: (emit: Emit<Out>, context: OperatorContext) => Processor<In>
  /** Gives the same output for the same input, each time. Default true; say false where a clock or chance is asked. */
  readonly repeatable?: boolean
}

/**
 * Makes an operator of your own, as first-class as ours.
 *
 * Shape and order are what `process` emits. What `open` keeps in a variable lasts as long as the process, per source: it is in no
 * checkpoint, and in batch each mapper has its own.
 *
 * What `process` throws is by `onError` the end of the run or a record that is skipped and counted; to emit null or undefined is an
 * error too.
 *
 * @example
 * ```ts
 * const everyOther = <T>() => operator<T, T>({
 *   name: 'everyOther',
 *   open: (emit) => {
 *     let odd = false
 *     return { process: (value) => { odd = !odd; if (odd) emit(value) } }
 *   },
 * })
 * const half = from(memory([1, 2, 3])).pipe(everyOther()) // 1, 3
 * ```
 */
export function operator<In, Out>(init: OperatorInit<In, Out>): Operator<In, Out> {
  const { open, ...options } = init
  return createOperator<In, Out>({
    kind: 'stateless',
    label: 'operator',
    ...options,
    open: (emit, context) => {
      const checked: Emit<Out> = (value) => {
        if (value === null || value === undefined) throw emittedNothing(value as null | undefined)
        emit(value)
      }
      const opened = open(checked, context)
      const guard =
        <A>(fn: (given: A) => void) =>
        (given: A): void => {
          try {
            fn(given)
          } catch (error) {
            // An error that says where it comes from is a later operator's.
            if (isMillraceError(error) && error.where !== undefined) throw error
            context.reject(error, given)
          }
        }
      const guarded: Processor<In> = { process: guard(opened.process) }
      if (opened.processBatch !== undefined) guarded.processBatch = guard(opened.processBatch)
      if (opened.flush !== undefined) guarded.flush = guard<void>(opened.flush)
      if (opened.advance !== undefined) guarded.advance = opened.advance
      return guarded
    },
  })
}
