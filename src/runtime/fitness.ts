import { MillraceError } from '../core/errors.ts'
import { deadLetterSinks, type Plan, type PlannedFlow, sourcesOf } from '../plan/plan.ts'
import type { Sink, TaskSink } from '../sinks/sink.ts'

/** Sinks of dead letters are sinks like any other: each as a flow of its own. */
export function deadLetterFlows(plan: Plan, all: Sink<unknown> | undefined): readonly PlannedFlow[] {
  const own = deadLetterSinks(plan).map((sink, i) => ({ name: `dead-letters-${i + 1}`, sink: sink as Sink<unknown> }))
  const given = all === undefined ? [] : [{ name: 'dead-letters', sink: all }]
  return [...own, ...given].map(({ name, sink }) => ({ type: 'flow', name, sink, over: 'stream' }))
}

/** For the start: what is promised from which sources to this sink. */
export function promiseOf(plan: Plan, flow: PlannedFlow, { promise }: TaskSink): string {
  const sources = plan.flows.includes(flow) ? sourcesOf(plan, flow) : plan.sources
  const from = sources.map(({ source }) => source.source.kind)
  return `${promise}: ${from.join(' + ')} → ${flow.sink.sink.kind}`
}

/** What can't keep the promise is refused before anything is opened. */
export function refuseUnfit(plan: Plan, flows: readonly PlannedFlow[]): void {
  const why = whyUnfit(plan, flows)
  if (why.length > 0)
    throw new MillraceError('MLR_ERR_CHECKPOINT_REFUSED', `${plan.name} can't run with checkpoints: ${why.join('; ')}`)
}

/** Why a plan can't run with checkpoints; empty if it can. */
export function whyUnfit(plan: Plan, flows: readonly PlannedFlow[] = plan.flows): readonly string[] {
  return [
    ...plan.sources
      .filter(({ source }) => source.source.resumable !== true)
      .map(({ source }) => `${source.source.label} can't be read again from a position`),
    ...flows
      .filter(({ sink }) => sink.sink.openTask === undefined)
      .map(({ sink }) => `${sink.sink.label} takes no part in checkpoints`),
    ...plan.operators
      .filter(({ kind, operator }) => kind === 'boundary' && operator.definition.drains !== true)
      .map(({ id }) => `step ${id} is a stream of your own, and nobody can tell what is still inside of it`),
  ]
}
