/** What is known about the source record that is being processed. Right only while the operator is called: copy what you keep. */
export interface RecordInfo {
  /** The name of the source in the pipeline. */
  readonly source: string
  /** Where inside the source: a file's path, a Kafka partition. */
  readonly partition: string
  /** Where inside the partition: `{ line, offset }` of a file's line, an offset in Kafka, a number in memory. */
  readonly position: unknown
  /** Milliseconds since the epoch, if the source knows the time of its records. */
  readonly timestamp: number | undefined
  readonly key: Uint8Array | undefined
  readonly headers: ReadonlyMap<string, Uint8Array>
  /** What tells its partition from another one of that name: a file's device, inode and time of birth. Only from sources that resume. */
  readonly identity?: string | undefined
}

/** Where a line stands: its number from 1 (unknown inside a split) and the byte at which it starts, from 0. */
export interface LinePosition {
  readonly line: number | undefined
  readonly offset: number
}

/** Records that were read together from one partition. Whatever is asked of a record goes by its index. */
export interface Origin {
  readonly source: string
  readonly partition: string
  readonly identity?: string | undefined
  positionOf(index: number): unknown
  timestampOf?(index: number): number | undefined
  keyOf?(index: number): Uint8Array | undefined
  headersOf?(index: number): ReadonlyMap<string, Uint8Array>
  /** The record's raw bytes, for a dead letter. */
  rawOf?(index: number): Uint8Array | undefined
  /** Where a source that resumes goes on after this batch, and under which name it knows the partition. Asked when the batch was used. */
  readonly resume?: { readonly partition: string; readonly position: unknown } | undefined
}

/** Records as values. */
export interface ValueBatch<T = unknown> extends Origin {
  readonly kind: 'values'
  readonly values: readonly T[]
}

/**
 * Records as the lines of a block of bytes, not yet cut: an operator that can take them all at once (`processLines`) need not have
 * them cut. Indexes are those of the physical lines in the block, blank ones included.
 */
export interface LineBatch extends Origin {
  readonly kind: 'lines'
  /** The block's text up to its last line end, or undefined where its lines must be looked at one by one. */
  readonly text: string | undefined
  /** Whether a line may have more than this many bytes; a look at a few places, not a scan. */
  hasLineOver(bytes: number): boolean
  /** Told by one who knows the number of lines, so that nobody need count. */
  setLineCount(lines: number): void
  /**
   * Every line that is not blank, in order, without its line end; a line that is no text goes to `malformed`.
   * Returns how many there were in all.
   */
  eachLine(visit: (line: string, index: number) => void, malformed: (error: Error, index: number) => void): number
}

/** What flows between stages: never one record at a time. */
export type Batch<T = unknown> = ValueBatch<T> | LineBatch

/** Where a position is, for people: `access.log:17`. */
export function placeOf(info: Pick<RecordInfo, 'partition' | 'position'>): string {
  const position = info.position
  if (position === null || position === undefined) return info.partition
  if (typeof position === 'object') {
    const { line, offset } = position as Partial<LinePosition>
    if (line !== undefined) return `${info.partition}:${line}`
    if (offset !== undefined) return `${info.partition}@${offset}`
  }
  return `${info.partition}@${String(position)}`
}

const NO_HEADERS: ReadonlyMap<string, Uint8Array> = new Map()

/** The origin of what came from no record. */
export const NOWHERE: Origin = { source: '', partition: '', positionOf: () => undefined }

/**
 * The record that a stage is at. One object a stage, moved from record to record: it costs one store a record, and works out what
 * it is asked for only then.
 */
export class Cursor implements RecordInfo {
  origin: Origin = NOWHERE
  index = 0

  get source(): string {
    return this.origin.source
  }
  get partition(): string {
    return this.origin.partition
  }
  get position(): unknown {
    return this.origin.positionOf(this.index)
  }
  get timestamp(): number | undefined {
    return this.origin.timestampOf?.(this.index)
  }
  get key(): Uint8Array | undefined {
    return this.origin.keyOf?.(this.index)
  }
  get headers(): ReadonlyMap<string, Uint8Array> {
    return this.origin.headersOf?.(this.index) ?? NO_HEADERS
  }
  get identity(): string | undefined {
    return this.origin.identity
  }
  get raw(): Uint8Array | undefined {
    return this.origin.rawOf?.(this.index)
  }

  /** The same facts as a value of their own, for code that runs later. */
  snapshot(): RecordInfo {
    const { source, partition, position, timestamp, key, headers, identity } = this
    return { source, partition, position, timestamp, key, headers, ...(identity === undefined ? {} : { identity }) }
  }
}

/** A batch of values of one partition whose facts were kept one by one: what leaves a boundary, or memory. */
export function batchOf<T>(values: readonly T[], infos: readonly RecordInfo[]): ValueBatch<T> {
  return {
    kind: 'values',
    source: infos[0]?.source ?? '',
    partition: infos[0]?.partition ?? '',
    identity: infos[0]?.identity,
    values,
    positionOf: (index) => infos[index]?.position,
    timestampOf: (index) => infos[index]?.timestamp,
    keyOf: (index) => infos[index]?.key,
    headersOf: (index) => infos[index]?.headers ?? NO_HEADERS,
  }
}
