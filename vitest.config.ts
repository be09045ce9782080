import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests start real processes; two cores are often all there is.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // Most of a test's time is waiting for servers: two files at a time fit two cores, vitest would run one.
    maxWorkers: 2,
    reporters: ['default', './test/support/count-reporter.ts'],
  },
})
