import { describeMermaid } from '../plan/describe.ts'
import type { Pipeline } from '../plan/pipeline.ts'
import { parseOptions } from './arguments.ts'

export async function describeCommand(pipeline: Pipeline, argv: readonly string[]): Promise<void> {
  const { mermaid } = parseOptions(argv, { mermaid: { type: 'boolean' } }, 'describe')
  process.stdout.write(mermaid === true ? describeMermaid(pipeline.plan) : pipeline.describe())
}
