import { MillraceError } from '../core/errors.ts'
import { type EventFileName, parseEventFileName } from './event-file-names.ts'
import type { Version } from './sink.ts'

/** What a sink of event files records of itself beside them. */
export interface EventFilesRecord {
  readonly pipeline: string
  readonly version: Version
  /** By label: which source partition it stands for, and how far that was read. */
  readonly partitions?: Readonly<Record<string, ArchivedPartition>>
}

export interface ArchivedPartition {
  readonly source: string
  readonly partition: string
  readonly position: unknown
}

export interface Archive {
  /** The files that count, by name. */
  readonly files: readonly string[]
  /** By source partition: where the unbroken run of its files begins and ends. */
  readonly runs: readonly (ArchivedPartition & { readonly from: number; readonly to: number })[]
}

/**
 * The archive that event files of one sink make: for each source partition an unbroken run of records. A gap or an overlap is an error, for
 * then something else has added or removed files.
 */
export function archiveOf(path: string, names: readonly string[], record: EventFilesRecord): Archive {
  const byLabel = new Map<string, (EventFileName & { readonly name: string })[]>()
  for (const name of names) {
    const parsed = parseEventFileName(path, name)
    if (parsed === undefined || parsed.generation !== record.version.generation) continue
    const files = byLabel.get(parsed.label) ?? []
    byLabel.set(parsed.label, files)
    files.push({ ...parsed, name })
  }
  const files: string[] = []
  const runs: Archive['runs'][number][] = []
  for (const [label, run] of byLabel) {
    const partition = record.partitions?.[label]
    if (partition === undefined)
      throw broken(`${run[0]?.name} belongs to no source partition that the sink has recorded: it came from elsewhere`)
    run.sort((a, b) => a.from - b.from || a.to - b.to)
    for (const [i, { name, from }] of run.entries()) {
      const before = run[i - 1]
      if (before !== undefined && from > before.to)
        throw broken(
          `records ${before.to} to ${from - 1} of ${partition.partition} are in no file: there is a gap before ${name}`,
        )
      if (before !== undefined && from < before.to)
        throw broken(
          `${before.name} and ${name} overlap: records ${from} to ${before.to - 1} of ${partition.partition} are in both`,
        )
      files.push(name)
    }
    runs.push({ ...partition, from: run[0]?.from as number, to: run.at(-1)?.to as number })
  }
  return { files, runs }
}

/** Where a source goes on after a run of its partition. */
export function positionAfter({ position, to }: Archive['runs'][number]): unknown {
  if (typeof position !== 'object' || position === null) return to
  const { line, ...rest } = position as { readonly line?: unknown }
  return { ...rest, offset: to }
}

function broken(why: string): MillraceError {
  return new MillraceError('MLR_ERR_CHECKPOINT_REFUSED', `the archive is not whole: ${why}`)
}
