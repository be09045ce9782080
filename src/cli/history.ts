import { randomUUID } from 'node:crypto'
import { posix } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import split2 from 'split2'
import { CheckpointLog } from '../checkpoints/log.ts'
import type { HdfsConnection } from '../connections/hdfs.ts'
import { MillraceError } from '../core/errors.ts'
import { parseKey } from '../core/key.ts'
import type { SavedRow } from '../core/keyed-state.ts'
import { openCheckpointStore } from '../end-urls.ts'
import { type SubmitOptions, submit } from '../hadoop/submit.ts'
import { parseWireLine } from '../hadoop/wire.ts'
import { number } from '../observe/progress.ts'
import { cutsOf, type Plan } from '../plan/plan.ts'
import { beginWithHistory, firstTables, refuseContinued } from '../runtime/history.ts'
import type { Positions } from '../runtime/task.ts'
import { type Archive, archiveOf, type EventFilesRecord, positionAfter } from '../sinks/archive.ts'

export interface HistoryJob {
  readonly plan: Plan
  readonly connection: HdfsConnection
  /** The folder of an archive: what a pipeline with checkpoints has written as files of events. */
  readonly folder: string
  /** Where the checkpoints go. */
  readonly checkpoint: string
  readonly fresh: boolean
  readonly job: Omit<SubmitOptions, 'flow' | 'inputs' | 'output' | 'accumulatorsOf'>
}

/**
 * `hadoop --checkpoint`: the job's accumulators become the first checkpoint of the live pipeline, which then goes on where the archive ends.
 * Only files that were there before the job count.
 */
export async function historyCommand({ plan, connection, folder, checkpoint, fresh, job }: HistoryJob): Promise<void> {
  const { say } = job
  const tables = firstTables(plan)
  const [source] = plan.sources
  if (source === undefined || plan.sources.length > 1)
    throw new MillraceError('MLR_ERR_USAGE', 'hadoop --checkpoint is for pipelines with one source')
  const archive = await readArchive(connection, folder)
  for (const { partition, from, to } of archive.runs) {
    const begins = from === 0 ? '' : ` (what came before ${number(from)} is not in the archive)`
    say(`${partition}: records ${number(from)} to ${number(to)}${begins}`)
  }
  const positions: Positions = {
    [source.name]: Object.fromEntries(archive.runs.map((run) => [run.partition, positionAfter(run)])),
  }
  const outputs: (readonly [table: string, folder: string])[] = []
  const log = new CheckpointLog(await openCheckpointStore(checkpoint, plan.name, say))
  try {
    await refuseContinued(plan, { log, fresh })
    for (const table of tables) {
      // Hadoop passes over names that begin so.
      const output = posix.join(folder, `_history-${randomUUID().slice(0, 8)}`)
      outputs.push([table.name, output])
      const flow = plan.flows.find((one) => cutsOf(plan, one).includes(table))!
      const inputs = new Map([[source.name, archive.files.map((name) => posix.join(folder, name))]])
      const report = await submit({ ...job, flow, inputs, output, accumulatorsOf: table })
      say(
        `${table.name}: read ${number(report.read)} records, skipped ${number(report.skipped)}, ${number(report.written)} keys`,
      )
    }
    const count = await beginWithHistory(plan, {
      log,
      rows: accumulators(connection, outputs),
      positions,
      fresh,
      ...(job.signal === undefined ? {} : { signal: job.signal }),
      say,
    })
    say(`${number(count)} rows of history are in ${log.label} and in the sinks: start ${plan.name} to go on from there`)
  } finally {
    await log.close()
    for (const [, output] of outputs) await connection.remove(output).catch(() => {})
  }
}

/** The one archive of a folder, by what its sink has recorded beside its files. */
export async function readArchive(connection: HdfsConnection, folder: string): Promise<Archive> {
  const names = ((await connection.list(folder)) ?? []).map(({ name }) => name)
  const records = names.filter((name) => /^\..*\.millrace\.json$/.test(name))
  const [name] = records
  if (name === undefined || records.length > 1)
    throw new MillraceError(
      'MLR_ERR_CHECKPOINT_REFUSED',
      `${connection.label}${folder} holds ${records.length} archives, and one is needed: a folder to which one pipeline with checkpoints has written its events`,
    )
  const record = JSON.parse(String(await connection.readWhole(posix.join(folder, name)))) as EventFilesRecord
  const archive = archiveOf(name.slice(1, -'.millrace.json'.length), names, record)
  if (archive.files.length === 0)
    throw new MillraceError('MLR_ERR_INPUT_MISSING', `the archive ${connection.label}${folder} has no closed file yet`)
  return archive
}

async function* accumulators(
  connection: HdfsConnection,
  outputs: readonly (readonly [table: string, folder: string])[],
): AsyncGenerator<readonly [string, SavedRow]> {
  for (const [table, folder] of outputs) {
    for (const { name } of (await connection.list(folder)) ?? []) {
      if (!name.startsWith('part-')) continue
      let line = 0
      const bytes = connection.read(posix.join(folder, name))
      // What breaks the first stream must break the second.
      const lines = pipeline(Readable.from(bytes, { objectMode: false }), split2(), () => {})
      for await (const text of lines) {
        const { keyText, accumulatorText } = parseWireLine(text as string, ++line)
        yield [table, { key: parseKey(keyText), accumulator: accumulatorText, sent: [] }]
      }
    }
  }
}
