import { canRemoveRows, type Plan, type PlannedFlow } from '../plan/plan.ts'
import type { TaskSink } from '../sinks/sink.ts'

/** Opens the sinks of flows as parts of a task, into `sinks`, so that the caller can close those that were opened. */
export async function openTaskSinks(
  plan: Plan,
  flows: readonly PlannedFlow[],
  sinks: Map<PlannedFlow, TaskSink>,
  say: (line: string) => void,
): Promise<void> {
  for (const flow of flows)
    sinks.set(
      flow,
      await flow.sink.sink.openTask!({
        pipeline: plan.name,
        flow: flow.name,
        over: flow.over,
        removes: flow.over === 'table' && canRemoveRows(plan, flow),
        say,
      }),
    )
}
