import { MillraceError } from '../core/errors.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Source } from '../sources/source.ts'
import type { Plan, PlannedFlow, PlannedOperator, Target } from './plan.ts'

export interface Ends {
  /** By the name of the source. */
  readonly sources?: ReadonlyMap<string, Source<unknown>>
  /** By the name of the flow. */
  readonly sinks?: ReadonlyMap<string, Sink<unknown>>
}

/** The same plan with other ends. Names that the plan does not have are refused. */
export function withEnds(plan: Plan, { sources = new Map(), sinks = new Map() }: Ends): Plan {
  refuseUnknown(
    'source',
    [...sources.keys()],
    plan.sources.map((source) => source.name),
  )
  refuseUnknown(
    'flow',
    [...sinks.keys()],
    plan.flows.map((flow) => flow.name),
  )
  const copies = new Map<Target, Target>()
  const copyFlow = (flow: PlannedFlow): PlannedFlow => ({ ...flow, sink: sinks.get(flow.name) ?? flow.sink })
  const copyOperator = (operator: PlannedOperator): PlannedOperator => ({
    ...operator,
    targets: operator.targets.map(copy),
    sides: new Map([...operator.sides].map(([name, targets]) => [name, targets.map(copy)])),
  })
  const copy = (target: Target): Target => {
    let copied = copies.get(target)
    if (copied === undefined) {
      copied = target.type === 'flow' ? copyFlow(target) : copyOperator(target)
      copies.set(target, copied)
    }
    return copied
  }
  return {
    name: plan.name,
    flows: plan.flows.map((flow) => copy(flow) as PlannedFlow),
    operators: plan.operators.map((operator) => copy(operator) as PlannedOperator),
    sources: plan.sources.map((source) => ({
      ...source,
      source: sources.get(source.name) ?? source.source,
      targets: source.targets.map(copy),
    })),
  }
}

function refuseUnknown(what: string, given: readonly string[], known: readonly string[]): void {
  const unknown = given.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new MillraceError(
      'MLR_ERR_USAGE',
      `there is no ${what} '${unknown}'; there ${known.length === 1 ? 'is' : 'are'} ${known.map((name) => `'${name}'`).join(', ')}`,
    )
  }
}
