import type { CheckpointLog } from '../checkpoints/log.ts'
import { MillraceError } from '../core/errors.ts'
import type { SavedRow } from '../core/keyed-state.ts'
import { cutOf, cutsOf, type Plan, type PlannedFlow, type PlannedOperator } from '../plan/plan.ts'
import type { TaskSink } from '../sinks/sink.ts'
import { Execution } from './execution.ts'
import { refuseUnfit } from './fitness.ts'
import { type Positions, Task } from './task.ts'
import { openTaskSinks } from './task-sinks.ts'

export interface HistoryOptions {
  readonly log: CheckpointLog
  /** Rows of the plan's first tables, each key once: what was computed elsewhere. */
  readonly rows: AsyncIterable<readonly [table: string, row: SavedRow]>
  /** By source and partition: up to where the rows stand for it. */
  readonly positions: Positions
  /** There are checkpoints already: begin a new generation. */
  readonly fresh?: boolean
  readonly signal?: AbortSignal
  readonly say: (line: string) => void
}

/** The aggregates that events come to first: their accumulators are all that the rest of the plan follows from. */
export function firstTables(plan: Plan): readonly PlannedOperator[] {
  const why = plan.flows.flatMap((flow) => {
    const cuts = cutsOf(plan, flow)
    if (cuts.length === 0) return `flow '${flow.name}' passes its events through, and those are not in any state`
    const ordered = cuts.find((cut) => cutOf(cut) === 'ordered')
    return ordered === undefined ? [] : `step ${ordered.id} keeps a state of its own, which no job computes`
  })
  if (why.length > 0)
    throw new MillraceError(
      'MLR_ERR_CHECKPOINT_REFUSED',
      `${plan.name} can't begin with a job's result: ${why.join('; ')}`,
    )
  return plan.operators.filter((operator) => cutOf(operator) === 'aggregating' && operator.over === 'stream')
}

/** Where there are checkpoints already, history takes their place only if that is asked for: to be told before a job runs for hours. */
export async function refuseContinued(
  plan: Plan,
  { log, fresh }: Pick<HistoryOptions, 'log' | 'fresh'>,
): Promise<void> {
  const last = await log.last()
  // One that was cut off may be made anew.
  if (fresh === true || last === undefined || last.awaits === 'history') return
  throw new MillraceError(
    'MLR_ERR_CHECKPOINT_REFUSED',
    `${log.label} has checkpoints of ${plan.name} already: begin a new generation with the history in their place with --fresh`,
  )
}

/**
 * Begins a task with a state that was computed elsewhere: it becomes the next checkpoint of the log, with every row owed to the sinks, and
 * is published. The log stays open. Whoever runs the pipeline then goes on from the positions. Returns how many rows of state there are.
 */
export async function beginWithHistory(plan: Plan, options: HistoryOptions): Promise<number> {
  const { rows, positions, say } = options
  refuseUnfit(plan, plan.flows)
  const sinks = new Map<PlannedFlow, TaskSink>()
  try {
    await openTaskSinks(plan, plan.flows, sinks, say)
    await refuseContinued(plan, options)
    const task = await Task.start({ plan, sinks, ...options, history: true })
    if (task === undefined) return 0
    try {
      const execution = new Execution(plan, {
        live: true,
        wantsLineage: (flow) => sinks.get(flow)?.wantsLineage === true,
      })
      await task.load(execution)
      let count = 0
      for await (const row of rows) {
        execution.restore([row])
        count++
      }
      execution.restored()
      for (const table of execution.tables) table.touchAll()
      const cut = (): Positions => {
        execution.tick()
        return positions
      }
      await task.checkpoint(execution, cut, { release: true })
      return count
    } finally {
      await task.close()
    }
  } finally {
    for (const sink of sinks.values()) await sink.close()
  }
}
