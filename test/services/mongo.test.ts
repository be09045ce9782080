import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type MongoServer, OwnServers } from '../../services/index.ts'
import { openMongoTask } from '../../src/sinks/mongo.ts'
import type { Output, TaskSink } from '../../src/sinks/sink.ts'
import { program, ROOT } from '../support/program.ts'
import { whySkipped } from './live-runs.ts'

const skipped = whySkipped()
const [PASSWORD, OTHER] = ['s3cret:with%odd/chars', 'another-one']

/** Each of these fails without its cure: what happens without it is said beside it. */
describe.skipIf(skipped !== undefined)('the traps of MongoDB', () => {
  const servers = new OwnServers()
  let server!: MongoServer
  let client!: MongoClient
  beforeAll(async () => {
    server = await servers.mongo({ login: { user: 'ann', password: PASSWORD }, tls: true })
    client = new MongoClient(server.url)
  }, 300_000)
  afterAll(async () => {
    await client?.close().catch(() => {})
    await servers.stop()
  }, 60_000)

  let databases = 0
  const fresh = (): string => `traps${++databases}`
  const open = (database: string, removes = false): Promise<TaskSink> =>
    openMongoTask(
      { url: server.url, database, collection: 'rows' },
      { pipeline: 'p', flow: 'f', over: 'table', removes, say: () => {} },
      () => {},
    )
  const prepared = (sink: TaskSink, rows: readonly (readonly [key: unknown, value: unknown])[]) =>
    sink.prepare([rowsOf(rows)], { positions: {}, last: false })
  const rowsOf = (rows: readonly (readonly [key: unknown, value: unknown])[]): Output =>
    ({ kind: 'rows', changes: rows.map(([key, value]) => ({ key, index: 0, value })) }) as unknown as Output
  const held = (database: string) => client.db(database).collection<{ _id: unknown }>('rows').find().toArray()

  it('keeps apart whatever is a key or a member, and takes none for an operator (as a filter { $gt: "" } hits another)', async () => {
    const database = fresh()
    const sink = await open(database)
    const keys = [
      ...['', '1', 'true', '"1"', '["a",1]', '$gt', '$where', 'a.b', '__proto__', 'constructor', '\u0000', 'ü😀'],
      ...[1, 1.5, -0, 2 ** 53, true, false, [], ['a', 1], [['a'], 1], ['a', [1]], ['$gt', '']],
    ]
    const value = JSON.parse('{"$set":1,"a.b":{"$ne":null},"__proto__":"own","":"empty","text":"$x","list":["$y"]}')
    await sink.publish(
      { generation: 1, number: 1 },
      prepared(
        sink,
        keys.map((key) => [key, { ...value, key }]),
      ),
    )
    const found = await held(database)
    expect(found.length).toBe(keys.length)
    const shown = (key: unknown): string => JSON.stringify(key)
    expect(found.map((row) => shown((row as { key?: unknown }).key)).sort()).toEqual(keys.map(shown).sort())
    for (const { _id, _v, key, ...rest } of found as unknown as Record<string, unknown>[])
      expect(JSON.stringify(rest), `${_id} ${_v} ${key}`).toBe(JSON.stringify(value))
    await sink.close()
  })

  it('holds the newest version of each row, whoever writes last (with the version in the filter an insert loses the race)', async () => {
    const database = fresh()
    const sinks = await Promise.all([1, 2, 3].map(() => open(database)))
    const keys = Array.from({ length: 20_000 }, (_, i) => `key ${i}`)
    await Promise.all(
      sinks.map((sink, i) =>
        sink.publish(
          { generation: 1, number: i + 1 },
          prepared(
            sink,
            keys.map((key) => [key, { by: i + 1 }]),
          ),
        ),
      ),
    )
    const found = await held(database)
    expect(found.length).toBe(keys.length)
    expect(found.filter((row) => (row as { by?: unknown }).by !== 3).length).toBe(0)
    await Promise.all(sinks.map((sink) => sink.close()))
  })

  it('has what it was told is written, after a kill -9 in the next moment, and goes on in all its bulks (w:1 loses; the driver tries one again)', async () => {
    const database = fresh()
    const sink = await open(database)
    const rows = (by: number) => Array.from({ length: 30_000 }, (_, i) => [`key ${i}`, { by }] as const)
    await sink.publish({ generation: 1, number: 1 }, prepared(sink, rows(1)))
    await server.kill()
    await server.start()
    expect((await held(database)).length).toBe(30_000)
    const publishing = sink.publish({ generation: 1, number: 2 }, prepared(sink, rows(2)))
    while ((await client.db(database).collection('rows').countDocuments({ by: 2 })) < 3000);
    await server.kill()
    await server.start()
    await publishing
    expect((await held(database)).filter((row) => (row as { by?: unknown }).by !== 2).length).toBe(0)
    await sink.close()
  }, 120_000)

  it('tells a row that is larger than a document may be (the driver: "offset is out of bounds", and nothing is sent)', async () => {
    const sink = await open(fresh())
    const [text, numbers] = ['x'.repeat(17 * 1024 * 1024), Array.from({ length: 1_400_000 }, () => 1)]
    for (const value of [{ text }, { numbers }])
      expect(() => prepared(sink, [['big', value]])).toThrow(
        /the row of "big" would be a document of 1\d\.\d MB, and MongoDB takes 16/,
      )
    await sink.publish({ generation: 1, number: 1 }, prepared(sink, [['fits', { text: 'x'.repeat(15 * 1024 * 1024) }]]))
    await sink.close()
  })

  it('speaks TLS, logs in, and tells an untrusted certificate, a wrong password and missing rights, in a line without any password', async () => {
    const database = fresh()
    await client.db('admin').command({
      createUser: 'reader',
      pwd: OTHER,
      roles: [{ role: 'read', db: database }],
    })
    const run = (url: string) =>
      program([join(ROOT, 'pipelines/user-actions.ts'), 'run', '--from', 'clicks:?count=300', '--to', url])
    const to = (from: string): string =>
      server.url.replace('/?', `/${database}?collection=users&`).replace(/ann:[^@]*/, from)
    const login = `ann:${encodeURIComponent(PASSWORD)}`
    const good = await run(to(login))
    expect(good.code, good.stderr).toBe(0)
    expect(await client.db(database).collection('users').countDocuments()).toBeGreaterThan(100)
    const cases = [
      [to('ann:wr0ng'), /MongoDB at \S+ refuses the login: Authentication failed.*MLR_ERR_SERVER_LOGIN/],
      [to(`reader:${OTHER}`), /MongoDB at \S+ does not allow it: .*MLR_ERR_SERVER_LOGIN/],
      [to(login).replace(/&tlsCAFile=[^&]*/, ''), /self-signed certificate.*MLR_ERR_SERVER_UNREACHABLE/],
      [to(login).replace(/&tls=true.*$/, ''), /MongoDB does not answer at .*MLR_ERR_SERVER_UNREACHABLE/],
    ] as const
    for (const [url, told] of cases) {
      const out = await run(url)
      expect([out.code, out.stderr]).toEqual([1, expect.stringMatching(told)])
      expect(out.stderr).not.toMatch(/s3cret|wr0ng|another-one/)
    }
  }, 120_000)
})
