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
  | { readonly kind: 'events'; readonly values: readonly unknown[] }
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
