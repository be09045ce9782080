import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { MillraceError, reasonOf, show } from '../core/errors.ts'
import type { Version } from './sink.ts'

/** What of a table's rows changed, as it stands in a checkpoint: `[key text, index, row or null]`, or `[null, 0, event]`. */
export type Prepared = readonly (readonly [key: string | null, index: number, row: unknown])[]

export interface SqliteOptions {
  readonly path: string
  readonly table: string
  readonly indexes?: readonly SqliteIndex[]
}

/** By column, in order: 1 upwards, -1 downwards. */
export type SqliteIndex = Readonly<Record<string, 1 | -1>>

/** How long another process may have the database. */
const BUSY_MS = 10_000

const RECORDS = 'millrace_sinks'

/**
 * A table of an SQLite database. Rows of a table lie by their key, a column a member; events are added at the end. Everything that is published
 * under a version is one transaction, together with the record of that version, so each version is there once or not at all.
 */
export class SqliteTable {
  readonly #path: string
  readonly #table: string
  readonly #indexes: readonly SqliteIndex[]
  readonly #database: DatabaseSync
  /** By the members of a row. */
  readonly #upserts = new Map<string, StatementSync>()
  readonly #statements = new Map<string, StatementSync>()
  #columns: Map<string, string>
  /** Those that are not there yet, for a column of theirs is not. */
  #missingIndexes: readonly SqliteIndex[]

  constructor({ path, table, indexes = [] }: SqliteOptions) {
    this.#path = path
    this.#table = table
    this.#indexes = indexes
    this.#missingIndexes = indexes
    this.#database = this.#guard(() => new DatabaseSync(path, { timeout: BUSY_MS }))
    this.#columns = this.#guard(() => patiently(() => this.#open()))
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
  publish(pipeline: string, version: Version, prepared: Iterable<Prepared>): number {
    if (!this.begin(version)) return 0
    try {
      let written = 0
      for (const changes of prepared) {
        this.put(changes)
        written += changes.length
      }
      this.commit(pipeline, version)
      return written
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
      this.#upserts.clear()
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
      if (this.#missingIndexes.length > 0) this.#makeIndexes()
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
    this.#missingIndexes = this.#indexes
    // A column that was added is gone again.
    this.#columns = this.#readColumns()
    this.#upserts.clear()
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
    const isObject = row !== null && typeof row === 'object' && !Array.isArray(row)
    const names = isObject ? Object.keys(row) : ['value']
    const values: (string | number | bigint | null)[] = [key, key === null ? null : index]
    if (isObject) for (const name of names) values.push(cell((row as Readonly<Record<string, unknown>>)[name]))
    else values.push(cell(row))
    this.#upsertOf(names).run(...values)
  }

  /** The statement for rows with these members, made once for each shape of row and state of the columns. */
  #upsertOf(names: readonly string[]): StatementSync {
    const shape = names.join('\n')
    const known = this.#upserts.get(shape)
    if (known !== undefined) return known
    for (const name of names) this.#column(name)
    // What a row no longer has is null, not what it was.
    const others = [...this.#columns.values()].filter(
      (name) => name !== '_key' && name !== '_index' && !names.includes(name),
    )
    const columns = ['_key', '_index', ...names]
    // An update in place: to replace a row would give it another rowid, and every index another entry.
    const updates = [
      ...names.map((name) => `${quoted(name)} = excluded.${quoted(name)}`),
      ...others.map((name) => `${quoted(name)} = NULL`),
    ]
    const onConflict = updates.length === 0 ? 'NOTHING' : `UPDATE SET ${updates.join(', ')}`
    const sql = `INSERT INTO ${quoted(this.#table)} (${columns.map(quoted).join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ON CONFLICT (_key, _index) DO ${onConflict}`
    const statement = this.#statement(sql)
    this.#upserts.set(shape, statement)
    return statement
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
    this.#upserts.clear()
    if (this.#missingIndexes.length > 0) this.#makeIndexes()
  }

  /** Those whose columns have come. */
  #makeIndexes(): void {
    const ready = this.#missingIndexes.filter((index) =>
      Object.keys(index).every((name) => this.#columns.get(name.toLowerCase()) === name),
    )
    for (const index of ready) {
      const columns = Object.entries(index)
      const name = `${this.#table} by ${columns.map(([column, order]) => `${order < 0 ? '-' : ''}${column}`).join(', ')}`
      const list = columns.map(([column, order]) => `${quoted(column)}${order < 0 ? ' DESC' : ''}`).join(', ')
      this.#database.exec(`CREATE INDEX IF NOT EXISTS ${quoted(name)} ON ${quoted(this.#table)} (${list})`)
    }
    this.#missingIndexes = this.#missingIndexes.filter((index) => !ready.includes(index))
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

/** Tries again while another process has the database: the timeout of SQLite does not cover the change to a write-ahead log. */
function patiently<T>(run: () => T): T {
  const until = Date.now() + BUSY_MS
  for (;;) {
    try {
      return run()
    } catch (error) {
      if (!/database is locked/.test(reasonOf(error)) || Date.now() > until) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }
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
