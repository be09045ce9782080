import { cutOf, cutsOf, type Plan } from './plan.ts'

/** What must not change under a state: by operator that keeps one, what it is and what it is fed by. */
export type Fingerprint = Readonly<Record<string, string>>

export function fingerprintOf(plan: Plan): Fingerprint {
  const states: Record<string, string> = {}
  for (const operator of plan.operators) {
    if (cutOf(operator) === undefined) continue
    const upstream = plan.flows.flatMap((flow) => {
      const cuts = cutsOf(plan, flow)
      const at = cuts.indexOf(operator)
      return at > 0 ? [cuts[at - 1]?.name] : []
    })
    const { aggregate, version } = operator.operator.definition
    states[operator.name] =
      `${operator.kind} ${aggregate?.name ?? `version ${version}`} over ${upstream[0] ?? 'events'}`
  }
  return states
}

/** The states that were, and are no more or are something else: name, before, now. */
export function differences(
  before: Fingerprint,
  now: Fingerprint,
): readonly { readonly name: string; readonly before: string; readonly now: string | undefined }[] {
  return Object.entries(before)
    .filter(([name, text]) => now[name] !== text)
    .map(([name, text]) => ({ name, before: text, now: now[name] }))
}
