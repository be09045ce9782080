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
  /** Positions are those of a group, in which one process works and the others stand by: joins it, resolves when it is this one's turn. */
  claim?(options: ClaimOptions): Promise<Claim | undefined>
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
  /** End where the end is now, though it is a source without end. */
  readonly untilEnd?: boolean
  /** What `claim` gave. */
  readonly claim?: Claim
  /** The pipeline's name. */
  readonly pipeline?: string
  /** Gets what a user should know, a line at a time. */
  readonly say?: (line: string) => void
}

export interface ClaimOptions {
  readonly pipeline: string
  readonly say: (line: string) => void
  /** Gives the waiting up: then there is no claim. */
  readonly signal?: AbortSignal
}

/** A place in a group. It is given up when the last checkpoint is written, so that nobody else begins before. */
export interface Claim {
  release(): Promise<void>
}

/**
 * An opened source: batches, in order within each partition. A batch is used up before the next one is asked for. After `stop` it ends
 * soon, with no error.
 */
export interface SourceReader extends AsyncIterable<Batch> {
  /** How far it has come, if it can tell. */
  /** By partition: where it begins, if it knows that before it has read anything. */
  begins?(): Readonly<Record<string, unknown>>
  /** A checkpoint holds these positions: for tools that show how far behind a group is. */
  committed?(positions: Readonly<Record<string, unknown>>): void
  progress?(): { readonly doneBytes: number; readonly totalBytes: number }
  stop(): void
}
