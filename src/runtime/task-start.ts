import type { Head, PartRef } from '../checkpoints/checkpoint.ts'
import { compareVersions } from '../checkpoints/checkpoint.ts'
import { type CheckpointLog, describeVersion } from '../checkpoints/log.ts'
import { newOwner } from '../checkpoints/owner.ts'
import { seal, unseal } from '../checkpoints/sealed.ts'
import { stateLines } from '../checkpoints/state-part.ts'
import { MillraceError } from '../core/errors.ts'
import { Pieces } from '../core/pieces.ts'
import { differences, type Fingerprint, fingerprintOf } from '../plan/fingerprint.ts'
import { cutsOf, type Plan, type PlannedFlow } from '../plan/plan.ts'
import type { TaskSink } from '../sinks/sink.ts'

export interface TaskOptions {
  readonly plan: Plan
  readonly log: CheckpointLog
  readonly sinks: ReadonlyMap<PlannedFlow, TaskSink>
  /** Start a new generation with nothing; what is there is left alone and counts no more. */
  readonly fresh?: boolean
  /** Do not wait for an owner that may live. */
  readonly takeOver?: boolean
  /** It is taken over to be given a state that was computed elsewhere. */
  readonly history?: boolean
  /** States that may go. */
  readonly dropStates?: readonly string[]
  readonly signal?: AbortSignal
  readonly say: (line: string) => void
}

/** What a sink has recorded of itself. */
export type Recorded = NonNullable<Awaited<ReturnType<TaskSink['recorded']>>>

export async function recordedBy(
  sinks: ReadonlyMap<PlannedFlow, TaskSink>,
): Promise<ReadonlyMap<PlannedFlow, Recorded>> {
  const all = new Map<PlannedFlow, Recorded>()
  for (const [flow, sink] of sinks) {
    const recorded = await sink.recorded()
    if (recorded !== undefined) all.set(flow, recorded)
  }
  return all
}

/** What may refuse a start, before anything is touched. */
export function refuseMisfits(
  { plan, log, fresh, history, dropStates = [] }: TaskOptions,
  recordedBySink: ReadonlyMap<PlannedFlow, Recorded>,
  last: Head | undefined,
): void {
  const wayOn = 'start a new generation with --fresh (it reads everything again and replaces what the sink holds)'
  if (last !== undefined && last.pipeline !== plan.name) {
    throw refused(
      `${log.label} holds the checkpoints of '${last.pipeline}', and this is '${plan.name}': give each pipeline a folder of its own`,
    )
  }
  for (const [flow, recorded] of recordedBySink) {
    if (fresh === true) continue
    const { label } = flow.sink.sink
    if (recorded.pipeline !== plan.name) {
      const who = recorded.pipeline === '' ? 'a run without checkpoints' : `'${recorded.pipeline}'`
      throw refused(`${label} was written by ${who}: name another, or ${wayOn}`)
    }
    const known = last?.pending.publish
    if (known === undefined || compareVersions(recorded.version, known) > 0) {
      const has = known === undefined ? 'the log is empty' : `the log has come to ${describeVersion(known)}`
      throw refused(
        `${label} holds checkpoint ${describeVersion(recorded.version)}, and ${has} (${log.label}): it was deleted or is an old copy. Restore it, or ${wayOn}`,
      )
    }
  }
  if (last === undefined || fresh === true) return
  if (last.awaits === 'history' && history !== true) {
    throw refused(
      `${log.label} waits for a history that has not come: where hadoop --checkpoint was cut off run it again, or ${wayOn}`,
    )
  }
  const changed = differences(last.fingerprint as Fingerprint, fingerprintOf(plan)).filter(
    ({ name }) => !dropStates.includes(name),
  )
  if (changed.length === 0) return
  const list = changed.map(({ name, before, now }) => `'${name}' was ${before} and is ${now ?? 'no more'}`).join('; ')
  throw refused(
    `the state in ${log.label} does not fit the pipeline: ${list}. Change it back, give up that state with --drop-state ${changed[0]?.name}, or ${wayOn}`,
  )
}

/** The head of a takeover: everything as it was, the same publish number, a new owner. */
export async function nextHead(
  { plan, fresh, history, say, log, dropStates = [] }: TaskOptions,
  recordedBySink: ReadonlyMap<PlannedFlow, Recorded>,
  last: Head | undefined,
): Promise<Head> {
  const owner = newOwner()
  if (last !== undefined && fresh !== true) {
    const next = { ...last, version: { ...last.version, number: last.version.number + 1 }, at: Date.now(), owner }
    if (dropStates.length === 0) return next
    const dropped = withDownstream(plan, dropStates)
    for (const name of dropped) say(`the state '${name}' is dropped`)
    return {
      ...next,
      state: await withoutStates(log, last, dropped, `part-${owner.name}-kept`),
      fingerprint: fingerprintOf(plan),
    }
  }
  let generation = last?.version.generation ?? 0
  for (const { version } of recordedBySink.values()) generation = Math.max(generation, version.generation)
  if (last !== undefined)
    say(
      `--fresh: checkpoint ${describeVersion(last.version)} of ${log.label} and what it holds is ignored; generation ${generation + 1} begins`,
    )
  const version = { generation: generation + 1, number: 1 }
  return {
    version,
    pipeline: plan.name,
    at: Date.now(),
    owner,
    fingerprint: fingerprintOf(plan),
    ...(history === true ? { awaits: 'history' as const } : {}),
    positions: {},
    state: [],
    pending: { publish: version, parts: [] },
    counts: {},
  }
}

/** States that are made of a dropped one's rows can't stay: nobody could take those rows back. */
function withDownstream(plan: Plan, names: readonly string[]): readonly string[] {
  const dropped = new Set(names)
  for (const flow of plan.flows) {
    const cuts = cutsOf(plan, flow).map(({ name }) => name)
    const first = cuts.findIndex((name) => dropped.has(name))
    if (first !== -1) for (const name of cuts.slice(first)) dropped.add(name)
  }
  return [...dropped]
}

/** The state without some operators' rows: what is dropped must not come back under a new meaning of its name. */
async function withoutStates(
  log: CheckpointLog,
  head: Head,
  names: readonly string[],
  prefix: string,
): Promise<readonly PartRef[]> {
  const kept: PartRef[] = []
  for (const [i, ref] of head.state.entries()) {
    const lines = new Pieces()
    const content = unseal('part', ref.name, await log.readPart(head, ref))
    for (const { table, text } of stateLines(content)) if (!names.includes(table)) lines.add(text)
    for (const [j, piece] of lines.end().entries())
      kept.push({ ...(await log.createPart(`${prefix}-${i}-${j}`, seal('part', piece))), group: `${prefix}-${i}-0` })
  }
  return kept
}

function refused(why: string): MillraceError {
  return new MillraceError('MLR_ERR_CHECKPOINT_REFUSED', why)
}
