import { parentPort, workerData } from 'node:worker_threads'
import { isMillraceError, reasonOf } from '../core/errors.ts'
import type { Version } from './sink.ts'
import { type Prepared, type SqliteOptions, SqliteTable } from './sqlite-table.ts'

export type SqliteWork =
  | { readonly do: 'open' | 'recorded' | 'close' }
  | {
      readonly do: 'publish'
      readonly pipeline: string
      readonly version: Version
      readonly prepared: readonly string[]
    }

export interface SqliteRequest {
  readonly id: number
  readonly work: SqliteWork
}

export interface SqliteAnswer {
  readonly id: number
  readonly recorded?: ReturnType<SqliteTable['recorded']>
  readonly written?: number
  readonly error?: { readonly code: string; readonly message: string }
}

let table: SqliteTable | undefined

parentPort?.on('message', ({ id, work }: SqliteRequest) => {
  try {
    parentPort?.postMessage({ id, ...answer(work) })
  } catch (error) {
    const code = isMillraceError(error) ? error.code : 'MLR_ERR_OUTPUT_WRITE'
    parentPort?.postMessage({ id, error: { code, message: reasonOf(error) } })
  }
})

function answer(work: SqliteWork): Omit<SqliteAnswer, 'id'> {
  table ??= new SqliteTable(workerData as SqliteOptions)
  switch (work.do) {
    case 'open':
      return {}
    case 'recorded':
      return { recorded: table.recorded() }
    case 'publish':
      return { written: table.publish(work.pipeline, work.version, changesIn(work.prepared)) }
    case 'close':
      table.close()
      return {}
  }
}

function* changesIn(pieces: readonly string[]): Generator<Prepared> {
  // Some thousand lines at a time: one array of them all would be larger than the text.
  const LINES = 4096
  for (const piece of pieces) {
    let from = 0
    let lines = 0
    for (let end = piece.indexOf('\n'); end !== -1; end = piece.indexOf('\n', end + 1)) {
      if (++lines < LINES && end < piece.length - 1) continue
      yield JSON.parse(`[${piece.slice(from, end).replaceAll('\n', ',')}]`) as Prepared
      from = end + 1
      lines = 0
    }
  }
}
