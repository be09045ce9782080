import { MillraceError, show } from './errors.ts'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a duration such as '250ms', '30s', '5m', '1h', '7d'; a number is milliseconds already. */
export function durationMs(duration: string | number): number {
  if (typeof duration === 'number' && Number.isFinite(duration) && duration >= 0) return duration
  const match = typeof duration === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration) : null
  if (match === null) {
    throw new MillraceError(
      'MLR_ERR_USAGE',
      `a duration is a number and ms, s, m, h or d, as '30s'; got ${show(duration)}`,
    )
  }
  return Number(match[1]) * (UNITS[match[2] as string] as number)
}
