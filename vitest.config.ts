import { basename } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The longest first, so that no worker is left with one of them at the end; vitest would go by the sizes of the files. */
const LONGEST = ['kafka-mongo', 'hadoop', 'faults', 'hdfs', 'kills', 'cluster', 'examples', 'kafka'].map(
  (name) => `${name}.test.ts`,
)

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.indexOf(basename(moduleId))
      return found === -1 ? LONGEST.length : found
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests start real processes; two cores are often all there is.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // Most of a test's time is waiting for servers: two files at a time fit two cores, vitest would run one.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/support/count-reporter.ts'],
  },
})
