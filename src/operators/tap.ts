import { createStep, type Operator, type OperatorOptions } from '../core/operator.ts'
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
  return createStep('tap', fn, options)
}
