import type { Writable } from 'node:stream'
import { MillraceError } from '../core/errors.ts'
import { type FusedTarget, type Outlet, openFused } from '../core/fuse.ts'
import { keyText } from '../core/key.ts'
import type { KeyState } from '../core/keyed-state.ts'
import type { LineBatch } from '../core/record.ts'
import { Cursor } from '../core/record.ts'
import { MemoryStateStore } from '../core/state-store.ts'
import type { FormatName } from '../formats/format.ts'
import { lineOf } from '../formats/format.ts'
import {
  cutOf,
  cutsOf,
  leadsTo,
  type Plan,
  type PlannedFlow,
  type PlannedOperator,
  type PlannedSource,
  sourcesOf,
  type Target,
} from '../plan/plan.ts'
import { Execution } from '../runtime/execution.ts'
import { RunHost } from '../runtime/host.ts'
import { type RowOutlet, RowStage, rowsToPort } from '../runtime/table.ts'
import { Combining } from './combining.ts'
import { SortedMerge } from './grouped.ts'
import { OrderedLines, SortedRecords } from './ordered.ts'
import { RoleOutput } from './role-output.ts'
import { wireLine } from './wire.ts'

/** Which part of a plan a role plays. */
export interface Role {
  readonly plan: Plan
  readonly flow: PlannedFlow
  /** Which of the flow's cuts, from 1. */
  readonly step: number
  /** Only `map`: which source the input stands for. */
  readonly source?: PlannedSource
  /** The format of the rows, if not the sink's own. */
  readonly format?: FormatName
  readonly columns?: readonly string[]
  /** Only for `reduce`, and only inside Millrace: rows as `key TAB text`, so that parts can be merged by key. */
  readonly withKeys?: boolean
}

/** What a role counted: for the counters of a job. */
export interface RoleReport {
  readonly read: number
  readonly skipped: number
  readonly skippedByCode: readonly (readonly [string, number])[]
  readonly firstSkipped: readonly { readonly place: string; readonly operator: string; readonly reason: string }[]
}

export interface RoleInput extends AsyncIterable<LineBatch> {}

/**
 * The mapper: lines → `key TAB accumulator`, merged as far as memory allows (in no order: the framework sorts). Where the flow has no
 * cut, lines → the flow's own text.
 */
export async function mapRole(role: Role, input: RoleInput, stdout: Writable): Promise<RoleReport> {
  const { plan, flow } = role
  const output = new RoleOutput(stdout)
  const cut = cutsOf(plan, flow)[role.step - 1]
  const combining = cut === undefined ? undefined : crossing(cut, output.line)
  const execution: Execution = new Execution(plan, {
    goal: cut ?? flow,
    ...(combining === undefined
      ? {}
      : { goalIntake: (cursor: Cursor) => combining.intake(() => execution.host, cursor) }),
  })
  const writeEvents = eventWriter(role, execution, output)
  const source = mapperSource(role, cut ?? flow)
  for await (const block of input) {
    execution.take(source.name, block)
    if (execution.hasBoundaries) await execution.settle()
    writeEvents()
    await output.drain()
  }
  await execution.finishAll()
  combining?.flush()
  writeEvents()
  await output.end()
  return reportOf(execution.host)
}

/** The combiner: sorted `key TAB accumulator` lines → the same, one a key. It may run any number of times. */
export async function combineRole(role: Role, input: RoleInput, stdout: Writable): Promise<RoleReport> {
  const output = new RoleOutput(stdout)
  const cut = cutAt(role)
  if (cutOf(cut) === 'ordered') return copyRole(input, output)
  const aggregate = cut.operator.definition.aggregate!
  const merge = new SortedMerge(aggregate, (key, accumulator) => output.line(wireLine(key, aggregate, accumulator)))
  for await (const block of input) {
    merge.take(block)
    await output.drain()
  }
  merge.end()
  await output.end()
  return { read: merge.lines, skipped: 0, skippedByCode: [], firstSkipped: [] }
}

/**
 * The reducer: sorted `key TAB accumulator` lines → rows in the flow's text, in the order of the keys; or, where another cut follows,
 * `key TAB accumulator` for that one.
 */
export async function reduceRole(role: Role, input: RoleInput, stdout: Writable): Promise<RoleReport> {
  const { plan, flow } = role
  const output = new RoleOutput(stdout)
  const cut = cutAt(role)
  const next = cutsOf(plan, flow)[role.step]
  const host = new RunHost(plan)
  const combining = next === undefined ? undefined : crossing(next, output.line)
  if (cutOf(cut) === 'ordered') return reduceOrdered(role, input, output, combining)
  const outlet = combining?.intakeOfRows(() => host, new Cursor()) ?? rowsAsText(role, output)
  const rows = new RowStage(cut, fuseTowards(cut.targets, next ?? flow, outlet), [outlet], host)
  const merge = new SortedMerge(cut.operator.definition.aggregate!, (key, accumulator) => {
    const row: KeyState = { key, accumulator, changed: false, memory: undefined }
    rows.send(row)
  })
  for await (const block of input) {
    merge.take(block)
    await output.drain()
  }
  merge.end()
  rows.flush()
  combining?.flush()
  await output.end()
  return { ...reportOf(host), read: merge.lines }
}

/** The reducer of an ordered cut: records of a key, sorted, through its operator and those after it. */
async function reduceOrdered(
  role: Role,
  input: RoleInput,
  output: RoleOutput,
  combining: Combining | OrderedLines | undefined,
): Promise<RoleReport> {
  const { plan, flow } = role
  const cut = cutAt(role)
  const host = new RunHost(plan)
  const line = roleLine(role)
  const cursor = new Cursor()
  let key = ''
  cursor.origin = { source: cut.id, partition: `key of ${cut.name}`, positionOf: () => key }
  const outlet = combining?.intake(() => host, cursor) ?? { take: (value) => output.line(line(value)) }
  const keyedState = new MemoryStateStore()
  const goal = cutsOf(plan, flow)[role.step] ?? flow
  const { id, operator, sides } = cut
  const head: FusedTarget = {
    id,
    operator,
    keyedState,
    targets: fuseTowards(cut.targets, goal, outlet),
    sides: new Map([...sides].map(([name, of]) => [name, fuseTowards(of, goal, outlet)])),
  }
  const stage = openFused([head], host.stage(cursor), (error) => {
    throw error
  })
  const records = new SortedRecords(stage, keyedState, (text) => {
    key = text
  })
  for await (const block of input) {
    records.take(block)
    await output.drain()
  }
  records.end()
  combining?.flush()
  await output.end()
  return { ...reportOf(host), read: records.lines }
}

/** There is nothing to combine where records must be seen themselves. */
async function copyRole(input: RoleInput, output: RoleOutput): Promise<RoleReport> {
  let read = 0
  for await (const block of input) {
    block.eachLine(
      (line) => {
        read++
        output.line(`${line}\n`)
      },
      (error) => {
        throw error
      },
    )
    await output.drain()
  }
  await output.end()
  return { read, skipped: 0, skippedByCode: [], firstSkipped: [] }
}

/** What writes the lines that cross a cut. */
function crossing(cut: PlannedOperator, write: (line: string) => void): Combining | OrderedLines {
  return cutOf(cut) === 'ordered' ? new OrderedLines(cut, write) : new Combining(cut, write)
}

/** The operators that lead to a goal, whose place the outlet takes. */
function fuseTowards(targets: readonly Target[], goal: Target, outlet: Outlet): FusedTarget[] {
  return targets
    .filter((target) => leadsTo(target, goal))
    .map((target) => {
      if (target === goal) return outlet
      const { id, operator, targets: further, sides } = target as PlannedOperator
      return {
        id,
        operator,
        targets: fuseTowards(further, goal, outlet),
        sides: new Map([...sides].map(([name, of]) => [name, fuseTowards(of, goal, outlet)])),
      }
    })
}

function rowsAsText(role: Role, output: RoleOutput): RowOutlet {
  const line = roleLine(role)
  const port = {
    row: (key: Parameters<typeof keyText>[0], _index: number, value: unknown): void => {
      output.line(role.withKeys === true ? `${keyText(key)}\t${line(value)}` : line(value))
    },
  }
  return rowsToPort(port, 0, false)
}

function eventWriter(role: Role, execution: Execution, output: RoleOutput): () => void {
  const port = execution.ports.get(role.flow)
  const line = roleLine(role)
  return () => {
    for (const given of port?.take() ?? []) {
      if (given.kind === 'events') for (const value of given.values) output.line(line(value))
    }
  }
}

function roleLine({ flow, format, columns }: Role): (value: unknown) => string {
  const { sink } = flow.sink
  return lineOf(format ?? sink.format, columns ?? sink.columns)
}

function cutAt({ plan, flow, step }: Role): PlannedOperator {
  const cuts = cutsOf(plan, flow)
  const cut = cuts[step - 1]
  if (cut !== undefined) return cut
  const has = cuts.length === 0 ? 'it has no aggregate, so it needs mappers only' : `it has ${cuts.length}`
  throw new MillraceError('MLR_ERR_USAGE', `${plan.name}: flow '${flow.name}' has no step ${step}: ${has}`)
}

function mapperSource({ plan, source }: Role, goal: Target): PlannedSource {
  const sources = sourcesOf(plan, goal)
  const chosen = source ?? sources[0]
  if (source === undefined && sources.length > 1) {
    const names = sources.map(({ name }) => `'${name}'`).join(', ')
    throw new MillraceError(
      'MLR_ERR_USAGE',
      `${plan.name} reads from ${names}: say which the input stands for with --source NAME`,
    )
  }
  return chosen as PlannedSource
}

function reportOf(host: RunHost): RoleReport {
  return {
    read: host.counters.get('read'),
    skipped: host.skipped.total,
    skippedByCode: host.skipped.counts(),
    firstSkipped: host.skipped.first,
  }
}
