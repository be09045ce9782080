import {
  cutOf,
  cutsOf,
  leadsTo,
  type Plan,
  type PlannedFlow,
  type PlannedOperator,
  sourcesOf,
  type Target,
} from './plan.ts'

/**
 * The plan as text: what is fused into one stage, where it is cut, what is a stream and what a table, what is kept, and what each
 * engine runs. Stable, so that tests and reviews can compare it.
 */
export function describe(plan: Plan): string {
  const lines = [plan.name, '']
  for (const source of plan.sources) {
    lines.push(
      `source ${source.name}: ${source.source.source.label}${source.source.source.bounded ? '' : ' (without end)'}`,
    )
    drawTargets(source.targets, '  ', lines)
  }
  lines.push('', 'engines')
  for (const flow of plan.flows) lines.push(...describeEngines(plan, flow))
  return `${lines.join('\n')}\n`
}

/** The plan in one line, for the start of a run: `file → parseJson → filter(isClick) → … → stdout`. */
export function describeInLine(plan: Plan): string {
  return plan.flows
    .map((flow) => {
      const path = plan.operators
        .filter((operator) => leadsTo(operator, flow))
        .map((operator) => operator.id.replace(/^\d+ /, '').replace(/\(.*\)$/, ''))
      const sources = sourcesOf(plan, flow).map((source) => source.source.source.kind)
      return [sources.join(' + '), ...path, flow.sink.sink.kind].join(' → ')
    })
    .join('; ')
}

/** The plan as a Mermaid flowchart, for a README or a wiki. */
export function describeMermaid(plan: Plan): string {
  const lines = ['flowchart LR']
  const idOf = (target: Target): string =>
    target.type === 'flow' ? `flow${plan.flows.indexOf(target)}` : `op${plan.operators.indexOf(target)}`
  const text = (label: string): string => `"${label.replaceAll('"', '#quot;')}"`
  plan.sources.forEach((source, i) => {
    lines.push(`  source${i}([${text(source.source.source.label)}])`)
    for (const target of source.targets) lines.push(`  source${i} --> ${idOf(target)}`)
  })
  for (const operator of plan.operators) {
    const id = idOf(operator)
    lines.push(cutOf(operator) === undefined ? `  ${id}[${text(operator.id)}]` : `  ${id}[(${text(operator.id)})]`)
    for (const target of operator.targets) {
      lines.push(
        cutOf(target as PlannedOperator) === undefined
          ? `  ${id} --> ${idOf(target)}`
          : `  ${id} ==>|by key| ${idOf(target)}`,
      )
    }
    for (const [output, targets] of operator.sides) {
      for (const target of targets) lines.push(`  ${id} -.->|${output}| ${idOf(target)}`)
    }
  }
  plan.flows.forEach((flow, i) => {
    lines.push(`  flow${i}([${text(flow.sink.sink.label)}])`)
  })
  return `${lines.join('\n')}\n`
}

function drawTargets(targets: readonly Target[], indent: string, lines: string[]): void {
  const branches = targets.length > 1
  targets.forEach((target, i) => {
    if (branches) lines.push(`${indent}branch ${i + 1}`)
    drawTarget(target, branches ? `${indent}  ` : indent, lines)
  })
}

function drawTarget(target: Target, indent: string, lines: string[]): void {
  if (target.type === 'flow') {
    lines.push(
      `${indent}sink ${target.name}: ${target.sink.sink.label}, ${target.over === 'table' ? 'rows of a table, by key' : 'events'}`,
    )
    return
  }
  const cut = cutOf(target)
  if (cut !== undefined) {
    const { aggregate } = target.operator.definition
    if (cut === 'ordered') {
      lines.push(`${indent}── cut: ordered, by key ──`)
      lines.push(`${indent}${titleOf(target)} → stream; state '${target.name}': its values a key`)
    } else {
      const contributions =
        target.over === 'table' && aggregate?.remove === undefined ? ' and what each upstream row contributed' : ''
      lines.push(`${indent}── cut: ${cut}, by key ──`)
      lines.push(`${indent}${titleOf(target)} → table; state '${target.name}': one accumulator a key${contributions}`)
    }
  } else if (target.kind === 'boundary')
    lines.push(`${indent}── boundary ──`, `${indent}${titleOf(target)} → ${target.gives}`)
  else
    lines.push(`${indent}${titleOf(target)} → ${target.kind === 'key' ? 'keyed ' : ''}${target.gives}${policy(target)}`)
  for (const [output, sideTargets] of target.sides) {
    lines.push(`${indent}  side '${output}'`)
    drawTargets(sideTargets, `${indent}    `, lines)
  }
  drawTargets(target.targets, indent, lines)
}

/** A name of the user's hides what the operator is; here both are shown. */
function titleOf({ id, operator }: PlannedOperator): string {
  const { name, label } = operator.definition
  return name === undefined ? id : `${id}: ${label}`
}

function policy({ operator }: PlannedOperator): string {
  const { onError } = operator.definition
  if (onError === undefined || onError === 'fail') return ''
  return onError === 'skip' ? '; bad records are skipped and counted' : '; bad records go to their dead-letter sink'
}

function describeEngines(plan: Plan, flow: PlannedFlow): string[] {
  const cuts = cutsOf(plan, flow)
  const before = (goal: Target): string =>
    numbers(
      plan.operators.filter(
        (operator) => operator !== goal && leadsTo(operator, goal) && cutsBefore(plan, operator, goal),
      ),
    )
  const lines = [
    `  stream  ${flow.name}: one process, fused; ${flow.over === 'table' ? 'each row once at the end, with --live at each tick' : 'straight through'}`,
  ]
  if (cuts.length === 0) lines.push(`  hadoop  ${flow.name}: one job, mappers only (${before(flow)})`)
  cuts.forEach((cut, i) => {
    const next = cuts[i + 1] ?? flow
    const mapper = i === 0 ? `mapper ${before(cut)}` : 'mapper: lines as they are'
    const after = plan.operators.filter(
      (operator) => operator !== next && leadsTo(cut, operator) && leadsTo(operator, next) && operator !== cut,
    )
    const rest = after.length === 0 ? '' : ` + ${numbers(after)}`
    lines.push(
      `  hadoop  ${flow.name}: job ${i + 1} of ${cuts.length}: ${mapper}, ${cutOf(cut) === 'ordered' ? 'sorted by time, reducer' : 'combiner and reducer'} ${numberOf(cut)}${rest}`,
    )
  })
  return lines
}

/** Nothing between the operator and the goal cuts: they run in the same process. */
function cutsBefore(plan: Plan, operator: PlannedOperator, goal: Target): boolean {
  if (cutOf(operator) !== undefined) return false
  return !plan.operators.some(
    (cut) => cut !== goal && cutOf(cut) !== undefined && leadsTo(operator, cut) && leadsTo(cut, goal),
  )
}

function numbers(operators: readonly PlannedOperator[]): string {
  return operators.length === 0 ? 'none' : operators.map(numberOf).join(' ')
}

function numberOf(operator: PlannedOperator): string {
  return operator.id.split(' ')[0] as string
}
