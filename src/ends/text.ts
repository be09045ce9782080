import type { FormatName, TextFormat } from '../formats/format.ts'
import type { Rotation } from '../sinks/event-files.ts'

/** How a text sink writes. */
export interface TextSinkOptions {
  /** 'json' (the default): one value a line. 'tsv': one row a line. 'lines': texts as they are. 'table': for people. */
  readonly format?: FormatName
  /** Only 'tsv' and 'table': which members, in which order. */
  readonly columns?: readonly string[]
}

/** How a sink of files writes. */
export interface FileSinkOptions extends TextSinkOptions {
  /** Events go to many files, each seen when it is closed and named by the source positions that it covers. */
  readonly rotate?: Rotation
  /** Only with checkpoints, of a table: 'snapshot' (the default) is one file that holds the whole table; 'changes' is a log of its changes. */
  readonly table?: 'snapshot' | 'changes'
}

export interface LineSourceOptions {
  /** Longer lines are skipped and counted, never held in memory. Default 16 MiB. */
  readonly maxLineBytes?: number
}

export function textFormat({ format = 'json', columns }: TextSinkOptions): TextFormat {
  return columns === undefined ? { format } : { format, columns }
}
