/** One rule of a contract: its title is a sentence, and `run` throws where the rule is broken. For any test runner. */
export interface ContractCase {
  readonly title: string
  readonly run: () => void | Promise<void>
}

/**
 * A whole contract as one call, for a test runner that has no table of tests.
 *
 * @example
 * ```ts no-run
 * for (const { title, run } of aggregateContract(sum((n: number) => n), { values: [1, 2, 3] })) test(title, run)
 * ```
 */
export async function checkContract(cases: readonly ContractCase[]): Promise<void> {
  for (const { title, run } of cases) {
    try {
      await run()
    } catch (error) {
      throw new Error(`contract broken: ${title}`, { cause: error })
    }
  }
}
