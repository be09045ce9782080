import { Counters } from '../core/counters.ts'
import { isMillraceError, MillraceError, reasonOf, show } from '../core/errors.ts'
import type { StageHost } from '../core/fuse.ts'
import type { DeadLetterSink } from '../core/operator.ts'
import { type Cursor, placeOf, type RecordInfo } from '../core/record.ts'
import type { Plan, PlannedOperator } from '../plan/plan.ts'
import { type DeadLetter, deadLetter, SkippedLog } from './skipped.ts'

/** Gets every record that was skipped; `to` is the sink that its operator names, if any. */
export type DeadLetterTaker = (letter: DeadLetter, to: DeadLetterSink | undefined, record: RecordInfo) => void

/** What all stages of one run share: counters, what becomes of a bad record, and how an error says where it happened. */
export class RunHost {
  readonly counters = new Counters()
  readonly skipped = new SkippedLog()
  readonly #plan: Plan
  readonly #byId = new Map<string, PlannedOperator>()
  readonly #takeDeadLetter: DeadLetterTaker | undefined

  constructor(plan: Plan, takeDeadLetter?: DeadLetterTaker) {
    this.#plan = plan
    this.#takeDeadLetter = takeDeadLetter
    for (const operator of plan.operators) this.#byId.set(operator.id, operator)
  }

  /** The host of one stage, which has a cursor of its own. */
  stage(cursor: Cursor): StageHost {
    return {
      cursor,
      watermark: () => -Infinity,
      count: (id, counter, by) => this.counters.add(`${id}: ${counter}`, by),
      reject: (id, error, value, record) => this.reject(id, error, value, record ?? cursor),
    }
  }

  reject(id: string, error: unknown, value: unknown, record: RecordInfo): void {
    const onError = this.#byId.get(id)?.operator.definition.onError ?? 'fail'
    if (onError === 'fail') throw this.attribute(id, error, value, record)
    this.skip(id, error, value, record, typeof onError === 'object' ? onError : undefined)
  }

  /** A line that is no text, where no operator has been asked yet. */
  malformed(source: string, error: Error, record: RecordInfo): void {
    this.skip(`source ${source}`, error, undefined, record, undefined)
  }

  skip(id: string, error: unknown, value: unknown, record: RecordInfo, to: DeadLetterSink | undefined): void {
    this.skipped.add(id, error, record)
    this.#takeDeadLetter?.(deadLetter(this.#plan.name, id, error, record, value), to, record)
  }

  /** The error with where it happened and on which record, once. */
  attribute(id: string, error: unknown, value: unknown, record: RecordInfo): MillraceError {
    if (isMillraceError(error) && error.where !== undefined) return error
    const code = isMillraceError(error) ? error.code : 'MLR_ERR_OPERATOR'
    const got = value === undefined ? '' : ` (value: ${show(value)})`
    const place = placeOf(record)
    return new MillraceError(code, `${reasonOf(error)}${got}${place === '' ? '' : ` [${place}]`}`, {
      cause: error,
      where: `${this.#plan.name} › ${id}`,
    })
  }
}
