import type { Batch } from '../core/record.ts'

/** Where records come from. Made by `file`, `stdin`, `memory`, `clicks`, or by you: see {@link SourceDefinition}. */
export interface Source<T> {
  readonly source: SourceDefinition<T>
}

/** What a source is, before it is opened: a value, cheap to make, that loads nothing. */
export interface SourceDefinition<T> {
  /** The kind of end, as in a URL: 'file', 'stdin'. */
  readonly kind: string
  /** For people: kind and place. */
  readonly label: string
  /** It ends by itself. */
  readonly bounded: boolean
  /** Its records are lines of text, so a mapper that reads lines from stdin can stand in for it. */
  readonly textLines: boolean
  /** It can go on where a checkpoint says that it had come to. */
  readonly resumable?: boolean
  /** Only for types: what its records are. */
  readonly out?: T
  /** Opens it for one run. Errors that can be told now (no such file) are told now. */
  open(options: SourceOptions): Promise<SourceReader>
}

export interface SourceOptions {
  /** The name of the source in the pipeline: what its batches carry. */
  readonly name: string
  /** By partition: where to go on. A partition that is not in it is read from its beginning. */
  readonly positions?: Readonly<Record<string, unknown>>
  /** Do not end at the end: wait for more. */
  readonly follow?: boolean
}

/**
 * An opened source: batches, in order within each partition. A batch is used up before the next one is asked for. After `stop` it ends
 * soon, with no error.
 */
export interface SourceReader extends AsyncIterable<Batch> {
  /** How far it has come, if it can tell. */
  progress?(): { readonly doneBytes: number; readonly totalBytes: number }
  stop(): void
}
