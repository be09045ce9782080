import { MillraceError, shorten } from '../core/errors.ts'
import { number } from '../observe/progress.ts'
import type { Pipeline } from '../plan/pipeline.ts'
import { DEFAULT_SHAPES, type Verdict, verifyFlow } from '../verify.ts'
import { parseOptions, wholeNumber } from './arguments.ts'
import { inputsOf } from './batch-command.ts'
import { chooseFlow } from './choose-flow.ts'
import type { Invocation } from './context.ts'
import { stopOnSignals } from './signals.ts'

/** `verify`: both engines over one input. The verdict goes to stdout; a difference is exit code 1. */
export async function verifyCommand(
  { plan }: Pipeline,
  argv: readonly string[],
  invocation: Invocation,
): Promise<void> {
  const values = parseOptions(
    argv,
    {
      input: { type: 'string', multiple: true },
      flow: { type: 'string' },
      splits: { type: 'string' },
      reducers: { type: 'string' },
      combine: { type: 'string' },
    },
    'verify',
  )
  const inputs = inputsOf(
    'verify',
    values.input ?? [],
    plan.sources.map((source) => source.name),
  )
  const [base] = DEFAULT_SHAPES
  const given = values.splits !== undefined || values.reducers !== undefined || values.combine !== undefined
  const shape = {
    splits: wholeNumber('--splits', values.splits, 1) ?? base!.splits,
    reducers: wholeNumber('--reducers', values.reducers, 1) ?? base!.reducers,
    combine: wholeNumber('--combine', values.combine, 0) ?? base!.combine,
  }
  const stop = stopOnSignals(() => {})
  try {
    for (const flow of values.flow === undefined ? plan.flows : [chooseFlow(plan, values.flow)]) {
      const verdicts = await verifyFlow(
        { plan, flow, inputs, reenter: invocation.reenter, signal: stop.signal },
        given ? [shape] : DEFAULT_SHAPES,
      )
      for (const verdict of verdicts) {
        process.stdout.write(`${describeVerdict(plan.name, verdict)}\n`)
        if (verdict.difference !== undefined) {
          throw new MillraceError(
            'MLR_ERR_DIFFERENT',
            `${plan.name}: the stream and the batch job differ — is every aggregate order-free, and every accumulator a JSON value?`,
          )
        }
      }
    }
  } finally {
    stop.release()
  }
}

export function describeVerdict(pipeline: string, { flow, shape, rows, difference }: Verdict): string {
  const job = `${shape.splits} splits × ${shape.reducers} reducers, ${shape.combine} combiners`
  if (difference === undefined)
    return `${pipeline} → ${flow}: same bytes as the batch engine: yes (${number(rows)} rows, ${job})`
  const { line, key, stream, batch } = difference
  const side = (text: string | undefined): string => {
    if (text === undefined) return '(nothing more)'
    const row = key === undefined ? text : text.slice(text.indexOf('\t') + 1)
    return shorten(Buffer.from(row, 'latin1').toString('utf8'), 200)
  }
  return [
    `${pipeline} → ${flow}: same bytes as the batch engine: NO (${job})`,
    `  first difference: row ${number(line)}${key === undefined ? '' : `, key ${shorten(Buffer.from(key, 'latin1').toString('utf8'))}`}`,
    `  stream: ${side(stream)}`,
    `  batch:  ${side(batch)}`,
  ].join('\n')
}
