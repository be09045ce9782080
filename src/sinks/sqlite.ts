import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { MillraceError, reasonOf, show } from '../core/errors.ts'
import { keyText } from '../core/key.ts'
import type { Output, SinkWriter, TaskSink, Version } from './sink.ts'

/** What of a table's rows changed, as it stands in a checkpoint: `[key text, index, row or null]`, or `[null, 0, event]`. */
type Prepared = readonly (readonly [key: string | null, index: number, row: unknown])[]

const RECORDS = 'millrace_sinks'

/**
 * A table of an SQLite database. Rows of a table lie by their key, a column a member; events are added at the end. Everything that is published
 * under a version is one transaction, together with the record of that version, so each version is there once or not at all.
 */
class SqliteTable {
  readonly #path: string
  readonly #table: string
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  #columns: Map<string, string>

  constructor(path: string, table: string) {
    this.#path = path
    this.#table = table
    this.#database = this.#guard(() => new DatabaseSync(path, { timeout: 10_000 }))
    this.#columns = this.#guard(() => this.#open())
  }

  recorded(): { readonly pipeline: string; readonly version: Version } | undefined {
    const row = this.#guard(() =>
      this.#database.prepare(`SELECT pipeline, generation, number FROM ${RECORDS} WHERE name = ?`).get(this.#table),
    )
    if (row === undefined) return undefined
    return {
      pipeline: String(row.pipeline),
      version: { generation: Number(row.generation), number: Number(row.number) },
    }
  }

  /** Everything of one version, in one transaction. A version that is not greater than the recorded one changes nothing. */
  publish(pipeline: string, version: Version, prepared: Prepared): number {
    if (!this.begin(version)) return 0
    try {
      this.put(prepared)
      this.commit(pipeline, version)
      return prepared.length
    } catch (error) {
      this.rollback()
      throw error
    }
  }

  /** False: this version, or a later one, is there already. */
  begin(version: Version): boolean {
    return this.#guard(() => {
      this.#database.exec('BEGIN IMMEDIATE')
      // Another process may have added columns meanwhile.
      this.#columns = this.#readColumns()
      const recorded = this.recorded()?.version
      if (recorded === undefined || recorded.generation < version.generation) {
        // A new generation starts with nothing.
        this.#database.exec(`DELETE FROM ${quoted(this.#table)}`)
        return true
      }
      if (recorded.generation === version.generation && recorded.number < version.number) return true
      this.#database.exec('ROLLBACK')
      return false
    })
  }

  put(prepared: Prepared): void {
    this.#guard(() => {
      for (const [key, index, row] of prepared) {
        if (row === null)
          this.#statement(`DELETE FROM ${quoted(this.#table)} WHERE _key = ? AND _index = ?`).run(key, index)
        else this.#put(key, index, row)
      }
    })
  }

  commit(pipeline: string, version: Version): void {
    this.#guard(() => {
      const sql = `INSERT INTO ${RECORDS} VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET pipeline = excluded.pipeline, generation = excluded.generation, number = excluded.number`
      this.#statement(sql).run(this.#table, pipeline, version.generation, version.number)
      this.#database.exec('COMMIT')
    })
  }

  rollback(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
    // A column that was added is gone again.
    this.#columns = this.#readColumns()
  }

  close(): void {
    this.#database.close()
  }

  #open(): Map<string, string> {
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    this.#database.exec(
      `CREATE TABLE IF NOT EXISTS ${RECORDS} (name TEXT PRIMARY KEY, pipeline TEXT NOT NULL, generation INTEGER NOT NULL, number INTEGER NOT NULL)`,
    )
    const columns = this.#readColumns()
    if (columns.size > 0 && !columns.has('_key') && this.recorded() === undefined) {
      throw new MillraceError(
        'MLR_ERR_CHECKPOINT_REFUSED',
        `the table ${show(this.#table)} is there and was not made by Millrace — name another with ?table=NAME`,
      )
    }
    if (columns.size === 0)
      this.#database.exec(
        `CREATE TABLE IF NOT EXISTS ${quoted(this.#table)} (_key TEXT, _index INTEGER, UNIQUE (_key, _index))`,
      )
    return this.#readColumns()
  }

  #readColumns(): Map<string, string> {
    const found = this.#database.prepare(`SELECT name FROM pragma_table_info(?)`).all(this.#table)
    return new Map(found.map(({ name }) => [String(name).toLowerCase(), String(name)]))
  }

  #put(key: string | null, index: number, row: unknown): void {
    const members =
      row !== null && typeof row === 'object' && !Array.isArray(row) ? Object.entries(row) : [['value', row] as const]
    for (const [name] of members) this.#column(name)
    const names = members.map(([name]) => name)
    // What a row no longer has is null, not what it was.
    const others = [...this.#columns.values()].filter(
      (name) => name !== '_key' && name !== '_index' && !names.includes(name),
    )
    const columns = ['_key', '_index', ...names, ...others]
    const sql = `INSERT OR REPLACE INTO ${quoted(this.#table)} (${columns.map(quoted).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`
    const values = [
      key,
      key === null ? null : index,
      ...members.map(([, value]) => cell(value)),
      ...others.map(() => null),
    ]
    this.#statement(sql).run(...values)
  }

  #column(name: string): void {
    const known = this.#columns.get(name.toLowerCase())
    if (known === name) return
    if (known !== undefined || name === '') {
      const why = name === '' ? 'a column needs a name' : `SQLite can't tell it from ${show(known)}`
      throw new MillraceError(
        'MLR_ERR_OUTPUT_WRITE',
        `a row has the member ${show(name)}: ${why} — map the row to other names`,
      )
    }
    this.#database.exec(`ALTER TABLE ${quoted(this.#table)} ADD COLUMN ${quoted(name)}`)
    this.#columns.set(name.toLowerCase(), name)
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #guard<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      if (error instanceof MillraceError) throw error
      throw new MillraceError(
        'MLR_ERR_OUTPUT_WRITE',
        `cannot write to the SQLite database ${this.#path}: ${reasonOf(error)}`,
        { cause: error },
      )
    }
  }
}

export interface SqliteOptions {
  readonly path: string
  readonly table: string
}

/** As a part of a task: exactly once. */
export function openSqliteTask({ path, table }: SqliteOptions, pipeline: string): TaskSink {
  const rows = new SqliteTable(path, table)
  return {
    promise: 'exactly once',
    keepsRecord: true,
    recorded: async () => rows.recorded(),
    prepare: (outputs) => {
      const prepared = [...outputs].flatMap(changesOf)
      return prepared.length === 0 ? undefined : JSON.stringify(prepared)
    },
    publish: async (version, prepared) => rows.publish(pipeline, version, JSON.parse(prepared) as Prepared),
    close: async () => rows.close(),
  }
}

/** Without checkpoints: each run replaces what the table held, in one transaction from its start to its end. */
export function openSqlite({ path, table }: SqliteOptions): SinkWriter {
  const rows = new SqliteTable(path, table)
  const version = { generation: (rows.recorded()?.version.generation ?? 0) + 1, number: 1 }
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

function cell(value: unknown): string | number | bigint | null {
  if (value === null || value === undefined) return null
  // A JavaScript number is a REAL to SQLite; a whole one should look like what it is.
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (typeof value === 'bigint') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
