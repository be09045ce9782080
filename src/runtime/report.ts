import type { RunHost } from './host.ts'
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
  /** Only of runs with checkpoints. */
  readonly checkpoints?: {
    readonly written: number
    /** The time between two that was asked for, and the median of what it was: under load it stretches. */
    readonly wantedMs: number
    readonly medianMs: number | undefined
    /** What the slowest one took, from its cut to the end of its publishing. */
    readonly longestMs: number
  }
  /** It was asked to stop before its input had ended. */
  readonly stopped: boolean
}

/** The report of what a host has counted. */
export function reportOf(
  { counters, skipped }: RunHost,
  rest: Pick<RunReport, 'written' | 'seconds' | 'stopped' | 'checkpoints'>,
): RunReport {
  return {
    read: counters.get('read'),
    skipped: skipped.total,
    firstSkipped: skipped.first,
    skippedByCode: skipped.counts(),
    counters: counters.entries().filter(([name]) => name !== 'read'),
    ...rest,
  }
}
