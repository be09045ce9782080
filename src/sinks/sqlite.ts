import { Worker } from 'node:worker_threads'
import { type ErrorCode, MillraceError, reasonOf } from '../core/errors.ts'
import { keyText } from '../core/key.ts'
import { Pieces } from '../core/pieces.ts'
import type { Output, SinkWriter, TaskSink, Version } from './sink.ts'
import { type Prepared, type SqliteOptions, SqliteTable } from './sqlite-table.ts'
import type { SqliteAnswer, SqliteRequest, SqliteWork } from './sqlite-worker.ts'

/**
 * As a part of a task: exactly once. The database is written by a thread of its own: `node:sqlite` is synchronous, and while a million rows
 * are written the stream would stand.
 */
export async function openSqliteTask(options: SqliteOptions, pipeline: string): Promise<TaskSink> {
  const thread = new SqliteThread(options)
  await thread.ask({ do: 'open' })
  return {
    promise: 'exactly once',
    keepsRecord: true,
    recorded: async () => (await thread.ask({ do: 'recorded' })).recorded,
    prepare: (outputs) => {
      const lines = new Pieces()
      for (const output of outputs) {
        if (output.kind === 'events') for (const value of output.values) lines.add(`[null,0,${jsonOf(value)}]\n`)
        else
          for (const { key, index, value } of output.changes)
            lines.add(`[${JSON.stringify(keyText(key))},${index},${jsonOf(value)}]\n`)
      }
      return lines.end()
    },
    publish: async (version, prepared) =>
      (await thread.ask({ do: 'publish', pipeline, version, prepared })).written ?? 0,
    close: () => thread.close(),
  }
}

/** Without checkpoints: each run replaces what the table held, in one transaction from its start to its end. */
export function openSqlite(options: SqliteOptions): SinkWriter {
  const rows = new SqliteTable(options)
  const version: Version = { generation: (rows.recorded()?.version.generation ?? 0) + 1, number: 1 }
  rows.begin(version)
  return {
    write: (output) => rows.put(changesOf(output)),
    close: async () => {
      rows.commit('', version)
      rows.close()
    },
    abort: async () => {
      rows.rollback()
      rows.close()
    },
  }
}

function changesOf(output: Output): Prepared {
  if (output.kind === 'events') return output.values.map((value) => [null, 0, value] as const)
  return output.changes.map(({ key, index, value }) => [keyText(key), index, value ?? null] as const)
}

function jsonOf(value: unknown): string {
  return JSON.stringify(value) ?? 'null'
}

/** The worker that holds the database: one question at a time. */
class SqliteThread {
  readonly #worker: Worker
  #lastId = 0

  constructor(options: SqliteOptions) {
    const file = import.meta.url.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.js'
    this.#worker = new Worker(new URL(file, import.meta.url), { workerData: options })
    this.#worker.unref()
  }

  ask(work: SqliteWork): Promise<SqliteAnswer> {
    const id = ++this.#lastId
    const worker = this.#worker
    worker.ref()
    return new Promise<SqliteAnswer>((resolve, reject) => {
      const done = (settle: () => void): void => {
        worker.off('message', take).off('error', fail)
        worker.unref()
        settle()
      }
      const fail = (error: unknown): void =>
        done(() => reject(new MillraceError('MLR_ERR_OUTPUT_WRITE', reasonOf(error), { cause: error })))
      const take = (answer: SqliteAnswer): void => {
        if (answer.id !== id) return
        const { error } = answer
        done(() =>
          error === undefined ? resolve(answer) : reject(new MillraceError(error.code as ErrorCode, error.message)),
        )
      }
      worker.on('message', take).on('error', fail)
      worker.postMessage({ id, work } satisfies SqliteRequest)
    })
  }

  async close(): Promise<void> {
    await this.ask({ do: 'close' })
    await this.#worker.terminate()
  }
}
