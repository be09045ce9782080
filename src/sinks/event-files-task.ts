import { posix } from 'node:path'
import { MillraceError } from '../core/errors.ts'
import { faultPoint } from '../core/fault-point.ts'
import { openFormat, type TextFormat } from '../formats/format.ts'
import type { ArchivedPartition } from './archive.ts'
import { eventFileName, parseEventFileName } from './event-file-names.ts'
import {
  EventFiles,
  type EventFilesState,
  emptyState,
  type FileStep,
  type OpenFile,
  type Rotation,
} from './event-files.ts'
import type { FilePlace } from './file-place.ts'
import { OwnedFiles } from './owned-files.ts'
import { isPacked, refuseUnpackable } from './packing.ts'
import type { Lineage, Output, SinkWriter, Takeover, TaskSink, Version } from './sink.ts'

const { basename, join } = posix

export interface EventFilesOptions {
  /** `out/events.ndjson`: the files lie in `out` and are named `events.PARTITION.FROM-TO.ndjson`. */
  readonly path: string
  readonly format: TextFormat
  readonly rotate: Rotation
  /** Default: this machine's disk. */
  readonly place?: FilePlace
}

/** What the next owner must know: the files as they were before the pending steps, and who holds their temporary names. */
interface Manifest {
  readonly state: EventFilesState
  readonly holder: string
}

/** What is committed: the steps, and the files as they are after them. */
interface Prepared {
  readonly after: EventFilesState
  readonly steps: readonly FileStep[]
  /** By label: for the record that is kept beside the files. */
  readonly partitions: Readonly<Record<string, ArchivedPartition>>
}

/** Writes events to files that are seen when they are closed. A table's rows are written as a log of their changes. */
class EventFilesWriter {
  readonly #files: OwnedFiles
  readonly #place: FilePlace
  readonly #events: EventFiles
  readonly #line: (value: unknown) => string
  readonly #path: string
  #generation = 1
  #manifest: Manifest | undefined
  /** Temporary files of the former owner that its last checkpoint names; they go when a checkpoint of ours is there. */
  #inherited: string[] = []
  /** Files that the former owner had closed already. */
  readonly #gone = new Set<number>()

  constructor({ path, format, rotate, place }: EventFilesOptions) {
    refuseUnpackable(path)
    if (format.format === 'table')
      throw new MillraceError(
        'MLR_ERR_USAGE',
        `${path}: a file of events can't be a table for people — use json or tsv`,
      )
    this.#path = path
    this.#files = new OwnedFiles(path, place)
    this.#place = this.#files.place
    const text = openFormat(format)
    this.#line = (value) => text.value(value)
    this.#events = new EventFiles(rotate, (label, from, to) =>
      eventFileName(path, { generation: this.#generation, label, from, to }),
    )
  }

  get files(): OwnedFiles {
    return this.#files
  }

  async beginAlone(): Promise<void> {
    await this.#files.beginAlone()
    this.#generation = 1
  }

  async begin(takeover: Takeover): Promise<void> {
    const { generation } = takeover.version
    this.#generation = generation
    await this.#files.begin(takeover)
    const manifest = takeover.manifest as Manifest | undefined
    const keep = new Set<string>()
    this.#events.startsAt = takeover.positions
    if (manifest !== undefined) {
      this.#events.state = manifest.state
      for (const { open: file } of Object.values(manifest.state.partitions))
        if (file !== null) await this.#inherit(file, manifest.holder, keep)
    } else {
      this.#events.state = emptyState()
      if (generation > 1) await this.#moveAside(generation)
    }
    await this.#files.removeOlder(keep)
  }

  prepare(outputs: Iterable<Output>, cut: Parameters<NonNullable<TaskSink['prepare']>>[1]): Prepared | undefined {
    this.#manifest = { state: structuredClone(this.#events.state), holder: this.#files.holder }
    const steps: FileStep[] = []
    for (const output of outputs) {
      if (output.kind === 'events')
        steps.push(...this.#events.take(output.values, output.lineageOf ?? nowhere, this.#line))
      else {
        const before = this.#events.state.changes
        this.#events.state.changes += output.changes.length
        const values = output.changes.map(({ key, index, value }) => ({
          key,
          ...(index === 0 ? {} : { index }),
          row: value ?? null,
        }))
        steps.push(
          ...this.#events.take(values, (i) => ({ source: '', partition: 'changes', position: before + i }), this.#line),
        )
      }
    }
    steps.push(
      ...this.#events.cut(
        { ...cut, positions: { ...cut.positions, '': { changes: this.#events.state.changes } } },
        Date.now(),
      ),
    )
    if (steps.length === 0) return undefined
    return { after: this.#events.state, steps, partitions: this.#partitions(cut.positions) }
  }

  get manifest(): Manifest | undefined {
    return this.#manifest
  }

  async publish({ after, steps }: Prepared, own: boolean): Promise<number> {
    let written = 0
    await this.#files.guard(async () => {
      const touched = new Set<string>()
      for (const step of steps) {
        if (step.do === 'append') {
          written += step.text.split('\n').length - 1
          if (this.#gone.has(step.id)) continue
          const path = this.#files.temporary(step.id)
          await this.#place.append(path, step.at, step.text)
          touched.add(path)
          faultPoint('between files')
        } else {
          await this.#reveal(step)
          touched.delete(this.#files.temporary(step.id))
        }
      }
      await this.#place.sync(touched, this.#files.folder)
    })
    if (!own) {
      this.#events.state = after
      this.#gone.clear()
    }
    return written
  }

  /** A checkpoint of ours names our own temporary files, so those of the former owner may go. */
  async committed(): Promise<void> {
    for (const path of this.#inherited) await this.#files.guard(() => this.#place.remove(path))
    this.#inherited = []
  }

  /** What is not closed is not wanted. */
  async abandon(): Promise<void> {
    for (const { open: file } of Object.values(this.#events.state.partitions))
      if (file !== null) await this.#place.remove(this.#files.temporary(file.id))
  }

  #partitions(positions: Takeover['positions']): Record<string, ArchivedPartition> {
    const partitions: Record<string, ArchivedPartition> = {}
    for (const [id, { label }] of Object.entries(this.#events.state.partitions)) {
      const [source = '', partition = ''] = id.split('\n')
      const position = positions[source]?.[partition]
      if (position !== undefined) partitions[label] = { source, partition, position }
    }
    return partitions
  }

  async #inherit(file: OpenFile, holder: string, keep: Set<string>): Promise<void> {
    const former = this.#files.temporary(file.id, holder)
    const sizeOfFormer = (): Promise<number | undefined> => this.#files.guard(() => this.#place.size(former))
    let size = await sizeOfFormer()
    if (size === undefined) {
      this.#gone.add(file.id)
      return
    }
    if (size < file.bytes && (await this.#place.mayGrow(former))) size = (await sizeOfFormer()) ?? 0
    if (size < file.bytes)
      throw new MillraceError(
        'MLR_ERR_CHECKPOINT_DAMAGED',
        `${former} has ${size} bytes, and the checkpoint says ${file.bytes}: it was cut. Restore it from a copy, or start again with --fresh`,
      )
    keep.add(former)
    this.#inherited.push(former)
    await this.#files.guard(() => this.#place.copyFirst(former, this.#files.temporary(file.id), file.bytes))
  }

  async #reveal({ id, bytes, name }: Extract<FileStep, { do: 'close' }>): Promise<void> {
    const temporary = this.#files.temporary(id)
    const target = join(this.#files.folder, name)
    const size = await this.#place.size(temporary)
    if (size === undefined) {
      const there = await this.#place.size(target)
      if (there !== undefined && (isPacked(name) || there === bytes)) return
      throw new MillraceError(
        'MLR_ERR_CHECKPOINT_DAMAGED',
        `${target} is not there with the ${bytes} bytes that the checkpoint promises, nor is its temporary file: something else has removed them`,
      )
    }
    if (size !== bytes) throw new Error(`${temporary} has ${size} bytes, and ${bytes} were written`)
    await this.#place.sync([temporary], this.#files.folder)
    if (isPacked(name)) {
      const packed = this.#files.temporary(`${id}-packed`)
      await this.#place.pack(temporary, packed, name)
      await this.#files.reveal(packed, target)
      await this.#place.remove(temporary)
    } else await this.#files.reveal(temporary, target)
  }

  /** A new generation starts with nothing: what the former ones wrote is put into a folder that nobody reads by chance. */
  async #moveAside(generation: number): Promise<void> {
    await this.#files.guard(async () => {
      const aside = join(this.#files.folder, `.${basename(this.#path)}.before-generation-${generation}`)
      for (const name of await this.#place.list(this.#files.folder)) {
        const parsed = parseEventFileName(this.#path, name)
        if (parsed === undefined || parsed.generation >= generation) continue
        await this.#place.makeFolder(aside)
        await this.#place.replace(join(this.#files.folder, name), join(aside, name))
      }
    })
  }
}

/** As a part of a task: exactly once. */
export function openEventFilesTask(options: EventFilesOptions, pipeline: string): TaskSink {
  const writer = new EventFilesWriter(options)
  let own: Version = { generation: 0, number: 0 }
  return {
    promise: 'exactly once',
    keepsRecord: true,
    wantsLineage: true,
    recorded: () => writer.files.recorded(),
    begin: async (takeover) => {
      own = takeover.version
      await writer.begin(takeover)
    },
    prepare: (outputs, cut) => {
      const prepared = writer.prepare(outputs, cut)
      return prepared === undefined ? [] : [JSON.stringify(prepared)]
    },
    manifest: () => writer.manifest,
    committed: () => writer.committed(),
    publish: async (version, [prepared = '']) => {
      const isOwn = version.generation === own.generation && version.number > own.number
      const owed = JSON.parse(prepared) as Prepared
      const written = await writer.publish(owed, isOwn)
      await writer.files.record({ pipeline, version, partitions: owed.partitions })
      return written
    },
    close: () => writer.files.place.close(),
  }
}

/** Without checkpoints: a file appears when it is full; the last ones when the run has ended well. */
export async function openEventFiles(options: EventFilesOptions): Promise<SinkWriter> {
  const writer = new EventFilesWriter(options)
  await writer.beginAlone()
  const put = async (outputs: readonly Output[], last: boolean): Promise<void> => {
    const prepared = writer.prepare(outputs, { positions: {}, last })
    if (prepared !== undefined) await writer.publish(prepared, true)
  }
  return {
    write: (output) => put([output], false),
    close: () => put([], true),
    abort: () => writer.abandon(),
  }
}

function nowhere(): Lineage {
  return { source: '', partition: 'events', position: 0 }
}
