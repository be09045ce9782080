import { createHash } from 'node:crypto'
import { show } from '../core/errors.ts'
import { durationMs } from '../core/time.ts'
import type { Cut, Lineage } from './sink.ts'

/** When a file of events ends and the next one begins. Several together: whichever comes first. */
export interface Rotation {
  /** With so many events. */
  readonly count?: number
  /** With so many bytes, before they are packed: the event that reaches it is the last one. */
  readonly bytes?: number
  /** By event time: with the first event of a later hour (`every: '1h'`), as `by` tells each event's time. */
  readonly every?: string | number
  // biome-ignore lint/suspicious/noExplicitAny: whatever the stream's events are.
  readonly by?: (event: any) => number | undefined
  /** By the clock on the wall: a file that is so old is closed at the next checkpoint, full or not. */
  readonly after?: string | number
}

/** A file of events that is not closed yet. */
export interface OpenFile {
  readonly id: number
  /** The position at which it begins. */
  readonly from: number
  bytes: number
  count: number
  /** The position of its last event: what comes of one record stays in one file. */
  last: number
  /** The hour (or what `every` says) of its first event, counted since the epoch; null where there is none. */
  span: number | null
  /** When it was begun, by the wall. */
  readonly begun: number
}

/** What the files of one source partition have come to. */
export interface PartitionFiles {
  /** For file names. */
  readonly label: string
  /** Every file up to here is closed. */
  covered: number
  open: OpenFile | null
}

export interface EventFilesState {
  nextId: number
  /** How many changes of a table were taken: they have no position of their own. */
  changes: number
  readonly partitions: Record<string, PartitionFiles>
}

/** What is to be done with the files, in order; doing it twice is doing it once. */
export type FileStep =
  | { readonly do: 'append'; readonly id: number; readonly at: number; readonly text: string }
  | { readonly do: 'close'; readonly id: number; readonly bytes: number; readonly name: string }

/**
 * Decides which event goes to which file: one open file a source partition, so each file is an unbroken run of one partition, named by
 * the positions that it covers. Where a file ends depends on the events alone (but for `after` and the end of a run), so a run that was
 * killed and one that was not give the same files.
 */
export class EventFiles {
  readonly #rotation: Rotation
  readonly #nameOf: (label: string, from: number, to: number) => string
  readonly #spanMs: number | undefined
  readonly #ageMs: number | undefined
  #state: EventFilesState = emptyState()
  /** By source and partition: where the first file begins, if not at the partition's beginning. */
  startsAt: Cut['positions'] = {}

  constructor(rotation: Rotation, nameOf: (label: string, from: number, to: number) => string) {
    this.#rotation = rotation
    this.#nameOf = nameOf
    this.#spanMs = rotation.every === undefined ? undefined : durationMs(rotation.every)
    this.#ageMs = rotation.after === undefined ? undefined : durationMs(rotation.after)
  }

  get state(): EventFilesState {
    return this.#state
  }

  set state(state: EventFilesState) {
    this.#state = structuredClone(state)
  }

  /** Takes events in the order of each partition. */
  take(
    events: readonly unknown[],
    lineageOf: (index: number) => Lineage,
    line: (event: unknown) => string,
  ): FileStep[] {
    const steps: FileStep[] = []
    // Texts that go to the same file one after the other become one step.
    let run: { file: OpenFile; at: number; text: string } | undefined
    const flush = (): void => {
      if (run !== undefined) steps.push({ do: 'append', id: run.file.id, at: run.at, text: run.text })
      run = undefined
    }
    for (let i = 0; i < events.length; i++) {
      const event = events[i]
      const lineage = lineageOf(i)
      const files = this.#filesOf(lineage)
      const position = numberOf(lineage.position) ?? files.covered
      const span = this.#spanOf(event)
      if (files.open !== null && this.#isFull(files.open, position, span)) {
        flush()
        steps.push(this.#close(files, position))
      }
      files.open ??= this.#begin(files, position, span)
      if (run?.file !== files.open) {
        flush()
        run = { file: files.open, at: files.open.bytes, text: '' }
      }
      const text = line(event)
      run.text += text
      files.open.bytes += Buffer.byteLength(text)
      files.open.count++
      files.open.last = position
    }
    flush()
    return steps
  }

  /** The end of a checkpoint: closes what is too old, and at the end of the run everything, up to where the source was read. */
  cut({ positions, last }: Pick<Cut, 'positions' | 'last'>, now: number): FileStep[] {
    const steps: FileStep[] = []
    for (const [id, files] of Object.entries(this.#state.partitions)) {
      const { open } = files
      if (open === null || !(last || (this.#ageMs !== undefined && now - open.begun >= this.#ageMs))) continue
      const [source = '', partition = ''] = id.split('\n')
      steps.push(this.#close(files, numberOf(positions[source]?.[partition]) ?? open.last + 1))
    }
    return steps
  }

  #filesOf({ source, partition, identity }: Lineage): PartitionFiles {
    const name = identity ?? partition
    const id = `${source}\n${name}`
    return (this.#state.partitions[id] ??= {
      label: labelOf(id, partition, identity),
      covered: numberOf(this.startsAt[source]?.[name]) ?? 0,
      open: null,
    })
  }

  #begin({ covered }: PartitionFiles, position: number, span: number | null): OpenFile {
    return {
      id: this.#state.nextId++,
      // What no event came of lies between the files, and belongs to the later one.
      from: Math.min(covered, position),
      bytes: 0,
      count: 0,
      last: position,
      span,
      begun: Date.now(),
    }
  }

  #isFull({ count, bytes, last, span }: OpenFile, position: number, now: number | null): boolean {
    if (position === last) return false
    if (this.#rotation.count !== undefined && count >= this.#rotation.count) return true
    if (this.#rotation.bytes !== undefined && bytes >= this.#rotation.bytes) return true
    return span !== null && now !== null && now > span
  }

  #close(files: PartitionFiles, to: number): FileStep {
    const { id, bytes, from } = files.open as OpenFile
    files.open = null
    files.covered = to
    return { do: 'close', id, bytes, name: this.#nameOf(files.label, from, to) }
  }

  #spanOf(event: unknown): number | null {
    if (this.#spanMs === undefined) return null
    const time = this.#rotation.by?.(event)
    return time === undefined || !Number.isFinite(time) ? null : Math.floor(time / this.#spanMs)
  }
}

export function emptyState(): EventFilesState {
  return { nextId: 1, changes: 0, partitions: Object.create(null) as Record<string, PartitionFiles> }
}

/** What is wrong with a rotation, if anything. */
export function mistakeIn({ count, bytes, every, by, after }: Rotation): string | undefined {
  for (const [name, value] of [
    ['count', count],
    ['bytes', bytes],
  ] as const) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
      return `rotate.${name} is a whole number of at least 1; got ${show(value)}`
  }
  if ((every === undefined) !== (by === undefined))
    return 'rotate.every needs rotate.by, the event’s time in ms, and by needs every'
  for (const duration of [every, after])
    if (duration !== undefined && durationMs(duration) === 0) return 'a duration of rotate is more than 0'
  return undefined
}

/** Readable, unlike any other partition's, and a file name everywhere. */
function labelOf(id: string, partition: string, identity: string | undefined): string {
  // A file's path is not needed; a topic's name is.
  const base = identity === undefined ? partition : partition.slice(partition.lastIndexOf('/') + 1)
  const readable = base.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, 80)
  if (identity === undefined && readable === partition) return readable
  return `${readable}~${createHash('sha256').update(id).digest('hex').slice(0, 8)}`
}

/** A position as a number: a line's offset, an offset, an index. */
function numberOf(position: unknown): number | undefined {
  if (typeof position === 'number') return position
  if (typeof position === 'string' && /^\d+$/.test(position)) return Number(position)
  if (position !== null && typeof position === 'object') return numberOf((position as { offset?: unknown }).offset)
  return undefined
}
