import type { Reporter, TestModule } from 'vitest/node'

/** The last line of a run: `N passed, N failed`, and `, N skipped` if any. A file that could not be loaded is a failure. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0 }
    for (const module of modules) {
      let tests = 0
      for (const test of module.children.allTests()) {
        tests++
        const { state } = test.result()
        if (state === 'passed') counts.passed++
        else if (state === 'skipped') counts.skipped++
        else counts.failed++
      }
      if (tests === 0 || module.errors().length > 0) counts.failed++
    }
    const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`
    // After whatever the default reporter still writes.
    process.once('exit', () => process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`))
  }
}
