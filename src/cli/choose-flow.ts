import { MillraceError } from '../core/errors.ts'
import type { Plan, PlannedFlow } from '../plan/plan.ts'

/** The flow of a name; without a name the only one. */
export function chooseFlow(plan: Plan, name: string | undefined): PlannedFlow {
  const names = plan.flows.map((flow) => `'${flow.name}'`).join(', ')
  if (name === undefined) {
    if (plan.flows.length === 1) return plan.flows[0]!
    throw new MillraceError('MLR_ERR_USAGE', `${plan.name} has the flows ${names}: say which with --flow NAME`)
  }
  const flow = plan.flows.find((flow) => flow.name === name)
  if (flow === undefined) throw new MillraceError('MLR_ERR_USAGE', `there is no flow '${name}'; there is ${names}`)
  return flow
}
