import type { Plan } from '../plan/plan.ts'
import type { RunReport } from '../runtime/report.ts'
import { duration, number } from './progress.ts'

/** What a run did, for its end: a line of counts, then what was skipped, then what operators counted. */
export function describeReport(plan: Plan, report: RunReport, deadLetter?: string): string[] {
  const { read, skipped, written, seconds, stopped, counters, firstSkipped } = report
  const rate = seconds > 0 ? Math.round(read / seconds) : 0
  const outputs = written
    .map(
      ([name, count]) =>
        `${number(count)} to ${plan.flows.find((flow) => flow.name === name)?.sink.sink.label ?? name}`,
    )
    .join(', ')
  const lines = [
    `read ${number(read)} records, skipped ${number(skipped)}, wrote ${outputs === '' ? 'nothing' : outputs}, in ${duration(seconds)} (${number(rate)}/s)`,
  ]
  const { checkpoints } = report
  if (checkpoints !== undefined) {
    const { written: count, wantedMs, medianMs, longestMs } = checkpoints
    const stretched =
      medianMs !== undefined && medianMs > 1.5 * wantedMs
        ? `; under load, ${Math.round(wantedMs)} ms were asked for`
        : ''
    const every = medianMs === undefined ? '' : `, one each ${Math.round(medianMs)} ms (median${stretched})`
    lines.push(
      `${number(count)} checkpoint${count === 1 ? '' : 's'}${every}, the slowest took ${Math.round(longestMs)} ms`,
    )
  }
  if (stopped) lines.push('stopped before its input had ended: the result covers only what was read')
  lines.push(...describeSkipped(skipped, firstSkipped, deadLetter))
  for (const [name, count] of counters) lines.push(`  ${name}: ${number(count)}`)
  return lines
}

export function describeSkipped(skipped: number, first: RunReport['firstSkipped'], deadLetter?: string): string[] {
  if (skipped === 0) return []
  const lines = [
    `skipped ${number(skipped)}${deadLetter === undefined ? ' (--dead-letter FILE keeps them)' : `, kept in ${deadLetter}`}; the first:`,
  ]
  for (const { place, operator, reason } of first) lines.push(`  ${place}  ${operator.replace(/^\d+ /, '')}: ${reason}`)
  return lines
}
