import type { SkippedLog } from './skipped.ts'

/** What a run did. */
export interface RunReport {
  /** Records that the sources gave, the skipped ones included. */
  readonly read: number
  readonly skipped: number
  /** The first few that were skipped, with place and reason. */
  readonly firstSkipped: SkippedLog['first']
  /** How many, by error code. */
  readonly skippedByCode: readonly (readonly [code: string, count: number])[]
  /** By flow: events or row changes that its sink was given. */
  readonly written: readonly (readonly [flow: string, count: number])[]
  /** What operators counted. */
  readonly counters: readonly (readonly [name: string, count: number])[]
  readonly seconds: number
  /** It was asked to stop before its input had ended. */
  readonly stopped: boolean
}
