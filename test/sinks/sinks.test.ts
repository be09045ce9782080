import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { execute, file, from, memory, pipeline, sqlite } from 'millrace'
import { sinkContract } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/program.ts'

const json = (text: string): unknown[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown)

describe.each([
  ['a file', 'out.ndjson', (bytes: Buffer) => bytes],
  ['a gzip file', 'out.ndjson.gz', (bytes: Buffer) => gunzipSync(bytes)],
  ['a zstd file', 'out.ndjson.zst', (bytes: Buffer) => zstdDecompressSync(bytes)],
])('%s', (name, path, unpack) => {
  const make = async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
    const full = join(folder, path)
    return {
      sink: file(full),
      read: async () => {
        // Whatever it holds, nothing temporary is left.
        expect(readdirSync(folder).filter((entry) => entry !== path)).toEqual([])
        return existsSync(full) ? json(unpack(readFileSync(full)).toString()) : undefined
      },
    }
  }
  for (const { title, run } of sinkContract({ name, make })) it(title, run)
})

describe('memory', () => {
  const make = async () => {
    const into: unknown[] = []
    return { sink: memory(into), read: async () => into }
  }
  for (const { title, run } of sinkContract({ name: 'memory', make })) it(title, run)
})

describe('sqlite', () => {
  const make = async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'millrace-test-')), 'out.sqlite')
    return {
      sink: sqlite({ path, table: 'rows' }),
      read: async () => {
        const database = new DatabaseSync(path)
        const rows = database.prepare('SELECT * FROM rows ORDER BY rowid').all()
        database.close()
        return rows.map(({ _key, _index, ...row }) => ({ ...row }))
      },
    }
  }
  for (const { title, run } of sinkContract({ name: 'sqlite', make })) it(title, run)

  it('adds a column for each member, keeps whole numbers whole, and tells names that SQLite cannot tell apart', async () => {
    const path = join(temporaryFolder(), 'out.sqlite')
    await execute(
      pipeline(
        'p',
        from(
          memory<object>([
            { a: 1, b: 1.5, 'we"ird': true },
            { a: null, c: { x: ['é'] }, select: '\ud800' },
          ]),
        ).to(sqlite({ path, table: 't"able' })),
      ),
    )
    const database = new DatabaseSync(path)
    expect(
      database
        .prepare('SELECT a, typeof(a) AS t, b, "we""ird" AS w, c, "select" IS NOT NULL AS s FROM "t""able"')
        .all()
        .map((row) => ({ ...row })),
    ).toEqual([
      { a: 1, t: 'integer', b: 1.5, w: 1, c: null, s: 0 },
      { a: null, t: 'null', b: null, w: null, c: '{"x":["é"]}', s: 1 },
    ])
    database.close()
    await expect(
      execute(pipeline('p', from(memory<object>([{ a: 1, A: 2 }])).to(sqlite({ path, table: 'x' })))),
    ).rejects.toThrow('a row has the member string "A": SQLite can\'t tell it from string "a"')
  })

  it('leaves a table of somebody else’s alone', async () => {
    const path = join(temporaryFolder(), 'out.sqlite')
    const database = new DatabaseSync(path)
    database.exec('CREATE TABLE mine (n)')
    database.close()
    await expect(execute(pipeline('p', from(memory([1])).to(sqlite({ path, table: 'mine' }))))).rejects.toThrow(
      'was not made by Millrace',
    )
    await expect(
      execute(pipeline('p', from(memory([1])).to(sqlite({ path: '/no/such/folder/x', table: 'x' })))),
    ).rejects.toMatchObject({ code: 'MLR_ERR_OUTPUT_WRITE' })
  })
})

it('a file that is there is replaced as a whole, when the run has ended well', async () => {
  const path = join(temporaryFolder(), 'out')
  writeFileSync(path, 'before')
  const before = statSync(path).ino
  await execute(pipeline('p', from(memory([1])).to(file(path))))
  expect(readFileSync(path, 'utf8')).toBe('1\n')
  expect(statSync(path).ino).not.toBe(before)
})
