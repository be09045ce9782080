import type { RoleReport } from './roles.ts'

/** Set for the processes of a local job, which reads the counters as Hadoop would. */
export const REPORT_ENV = 'MILLRACE_ROLE_REPORTS'

/**
 * Says on standard error what a role counted: inside Hadoop (or a local job) as `reporter:counter:` lines, which end up among the job's
 * counters; else, and only if records were skipped, in words.
 */
export function reportRole(role: string, report: RoleReport): void {
  const { read, skipped, skippedByCode, firstSkipped } = report
  if (process.env.mapreduce_task_id !== undefined || process.env[REPORT_ENV] !== undefined) {
    const counters: [string, number][] = [[`${role} records read`, read]]
    for (const [code, count] of skippedByCode) counters.push([`skipped ${code}`, count])
    process.stderr.write(
      counters.map(([name, count]) => `reporter:counter:millrace,${name.replaceAll(',', ';')},${count}\n`).join(''),
    )
    for (const { place, operator, reason } of firstSkipped)
      process.stderr.write(`skipped ${place}: ${operator}: ${reason}\n`)
    return
  }
  if (skipped === 0) return
  const first = firstSkipped[0]
  process.stderr.write(
    `${role}: skipped ${skipped} of ${read} records; the first at ${first?.place}: ${first?.reason}\n`,
  )
}
