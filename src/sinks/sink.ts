import type { Key } from '../core/key.ts'
import type { FormatName, TextFormat } from '../formats/format.ts'

/** Where values go. Made by `file`, `stdout`, `memory`, or by you: see {@link SinkDefinition}. */
export interface Sink<T> {
  readonly sink: SinkDefinition<T>
}

/** What a sink is, before it is opened: a value, cheap to make, that loads nothing. */
export interface SinkDefinition<T> {
  readonly kind: string
  /** For people: kind and place. */
  readonly label: string
  /** Only for types: what it takes. */
  readonly takes?: (value: T) => void
  /** The text in which it writes, where it writes text; the reducers of a batch job write the same. */
  readonly format?: FormatName
  readonly columns?: readonly string[]
  /** The same sink with another format: what `--format` asks for. */
  withFormat?(format: TextFormat): Sink<unknown>
  open(): Promise<SinkWriter>
  /** Where checkpoints lie if nothing else is said: in the sink's own system. */
  readonly checkpointUrl?: string
  /** It wants to know where each event came from: {@link Lineage}. */
  readonly wantsLineage?: boolean
  /** Opens it as a part of a task with checkpoints; a sink without it can't be one. */
  openTask?(options: TaskSinkOptions): Promise<TaskSink>
}

export interface TaskSinkOptions {
  readonly pipeline: string
  readonly flow: string
  /** What it will be given: events, or rows of a table. */
  readonly over: 'stream' | 'table'
  /** Rows that it was given may be taken back. */
  readonly removes: boolean
  /** Gets what a user should know, a line at a time. */
  readonly say: (line: string) => void
}

/** Where an event came from. With several events of one record their order tells them apart. */
export interface Lineage {
  readonly source: string
  readonly partition: string
  readonly identity?: string | undefined
  readonly position: unknown
}

/** Where a task stands when its sinks prepare. */
export interface Cut {
  /** By source and partition: how far it was read. */
  readonly positions: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Nothing comes after it from this owner. */
  readonly last: boolean
}

/** What a sink is told when its task has been taken over. */
export interface Takeover {
  /** The number with which the task was taken over: greater than those of all owners before. */
  readonly version: Version
  /** What the sink's `manifest` returned for the checkpoint that was taken over; undefined if there was none. */
  readonly manifest: unknown
  /** By source and partition: how far it was read when the task was taken over. */
  readonly positions: Cut['positions']
  /** Rejects with `MLR_ERR_FENCED` if another process owns the task by now. */
  stillOwner(): Promise<void>
}

/**
 * A sink's part in the protocol of checkpoints. `prepare` is called at the cut and returns what is owed to readers, as text; that text is
 * committed inside the checkpoint; only then it is published, again and again under the same version until that has succeeded once.
 */
export interface TaskSink {
  /** For the start: 'exactly once', or what less it can promise. */
  readonly promise: string
  /** It records what it was given. One that does not (stdout) is never ahead, and never new. */
  readonly keepsRecord: boolean
  /** Which pipeline it belongs to and what was published last, as the sink itself has recorded it. */
  recorded(): Promise<{ readonly pipeline: string; readonly version: Version } | undefined>
  /** It wants to know where each event came from. */
  readonly wantsLineage?: boolean
  /** It keeps no rows of its own between two starts, so each start gives it the whole table. */
  readonly wantsWholeTable?: boolean
  /** The task is ours now: before anything is published. */
  begin?(takeover: Takeover): Promise<void>
  /** Synchronous: what is in the ports at the cut, and nothing that comes later. What is owed for it, in pieces; none: nothing. */
  prepare(outputs: Iterable<Output>, cut: Cut): readonly string[]
  /** Asked after `prepare`, a JSON value: what the next owner must know, as it is before that which `prepare` returned is published. */
  manifest?(): unknown
  /** A checkpoint of this owner is committed: what only those of former ones named may go. */
  committed?(): Promise<void>
  /** Idempotent by version: a version that is not greater than the recorded one changes nothing. Returns how many rows or events it wrote. */
  publish(version: Version, prepared: readonly string[]): Promise<number>
  close(): Promise<void>
}

/** Orders all that a task publishes: first the generation, then the number. */
export interface Version {
  readonly generation: number
  readonly number: number
}

/** A row of a table has a new value, or is no longer there. The row is (key, index); the index tells the rows of one key apart. */
export interface RowChange {
  readonly key: Key
  readonly index: number
  /** Undefined: the row was removed. */
  readonly value: unknown
}

/** What a sink is given: events of a stream, or changed rows of a table, each row at most once. */
export type Output =
  | {
      readonly kind: 'events'
      readonly values: readonly unknown[]
      /** By index; only for sinks that want it. */
      readonly lineageOf?: (index: number) => Lineage
    }
  | { readonly kind: 'rows'; readonly changes: readonly RowChange[] }

/**
 * An opened sink. Calls come one after the other, each when the one before has resolved: a sink that is slow holds the source back.
 * Then either `close`, after which everything is visible under its final name, or `abort`, after which nothing new is.
 */
export interface SinkWriter {
  write(output: Output): void | Promise<void>
  close(): Promise<void>
  abort(): Promise<void>
}
