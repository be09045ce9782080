import { headName } from '../checkpoints/checkpoint.ts'
import { CheckpointLog, describeVersion } from '../checkpoints/log.ts'
import { describeOwner, isGone } from '../checkpoints/owner.ts'
import { unseal } from '../checkpoints/sealed.ts'
import { stateLines } from '../checkpoints/state-part.ts'
import { MillraceError } from '../core/errors.ts'
import { keyText } from '../core/key.ts'
import { openCheckpointStore } from '../end-urls.ts'
import { duration, number } from '../observe/progress.ts'
import type { Pipeline } from '../plan/pipeline.ts'
import { parseOptions } from './arguments.ts'

/** `checkpoints`: what lies in a folder of checkpoints. Only reads. */
export async function checkpointsCommand(pipeline: Pipeline, argv: readonly string[]): Promise<void> {
  const [what = 'list', ...rest] = argv[0]?.startsWith('-') === true ? ['list', ...argv] : argv
  const values = parseOptions(rest, { checkpoint: { type: 'string' }, key: { type: 'string' } }, 'checkpoints')
  const own = pipeline.plan.flows.map(({ sink }) => sink.sink.checkpointUrl).find((url) => url !== undefined)
  const store = await openCheckpointStore(values.checkpoint ?? own ?? `.millrace/${pipeline.name}`, pipeline.name)
  const log = new CheckpointLog(store)
  try {
    if (what === 'list') await list(log)
    else if (what === 'show') await show(log, values.key)
    else if (what === 'verify') await verify(log)
    else throw new MillraceError('MLR_ERR_USAGE', `checkpoints has list, show and verify; got '${what}'`)
  } finally {
    await store.close?.()
  }
}

const out = (line: string): void => void process.stdout.write(`${line}\n`)

async function list(log: CheckpointLog): Promise<void> {
  const versions = await log.versions()
  if (versions.length === 0) return out('no checkpoints')
  out('number        age         read    skipped      bytes  owner')
  for (const version of versions) {
    const head = await log.read(version)
    if (head === undefined) continue
    const bytes = [...head.state, ...head.pending.parts].reduce((sum, part) => sum + part.bytes, 0)
    const columns = [
      describeVersion(version).padEnd(8),
      duration(Math.max(0, Date.now() - head.at) / 1000).padStart(8),
      number(head.counts.read ?? 0).padStart(12),
      number(head.counts.skipped ?? 0).padStart(10),
      number(bytes).padStart(10),
    ]
    out(
      `${columns.join(' ')}  ${head.owner.released ? 'released' : `${describeOwner(head.owner)}${isGone(head.owner) ? ' (gone)' : ''}`}`,
    )
  }
}

async function show(log: CheckpointLog, key: string | undefined): Promise<void> {
  const head = await log.last()
  if (head === undefined) return out('no checkpoints')
  if (key === undefined) {
    out(`checkpoint ${describeVersion(head.version)} of ${head.pipeline}, ${new Date(head.at).toISOString()}`)
    for (const [source, partitions] of Object.entries(head.positions)) {
      for (const [partition, position] of Object.entries(partitions))
        out(`position  ${source} ${partition}  ${JSON.stringify(position)}`)
    }
    out(
      `pending   ${head.pending.parts.length === 0 ? 'nothing' : `${head.pending.parts.length} part${head.pending.parts.length === 1 ? '' : 's'} under ${describeVersion(head.pending.publish)}`}`,
    )
  }
  const tables = new Map<string, Map<string, string>>()
  for (const part of head.state) {
    for (const { table, row } of stateLines(unseal('part', part.name, await log.readPart(head, part)))) {
      const rows = tables.get(table) ?? new Map<string, string>()
      tables.set(table, rows)
      if (row.accumulator === null) rows.delete(keyText(row.key))
      else rows.set(keyText(row.key), row.accumulator)
    }
  }
  for (const [table, rows] of tables) {
    if (key === undefined) out(`state     '${table}'  ${number(rows.size)} keys`)
    else
      for (const text of [key, JSON.stringify(key)]) if (rows.has(text)) out(`'${table}'  ${text}  ${rows.get(text)}`)
  }
}

/** Reads everything that the last checkpoint names; damage is an error. */
async function verify(log: CheckpointLog): Promise<void> {
  for (const version of await log.versions())
    if ((await log.read(version)) === undefined) out(`${headName(version)} went away meanwhile`)
  const head = await log.last()
  if (head === undefined) return out('no checkpoints')
  for (const part of [...head.state, ...head.pending.parts]) unseal('part', part.name, await log.readPart(head, part))
  out(
    `checkpoint ${describeVersion(head.version)} and its ${head.state.length + head.pending.parts.length} parts are whole`,
  )
}
