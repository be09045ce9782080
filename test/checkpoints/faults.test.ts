import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type Ended, ended, program, ROOT, shell, start, temporaryFolder } from '../support/program.ts'
import { args, clicksIn, env, killAtRandom, PLAN, tablesOf } from './fault-runs.ts'

/** Enough for several checkpoints: where a fault is wanted they come as often as asked. */
const MANY = 400_000

const POINTS = [
  'after takeover',
  'after prepare',
  'after parts',
  'between create and listing',
  'after commit',
  'between sinks',
  'after publish',
  'between deletions',
] as const

async function uninterrupted(count: number, seed = 1): Promise<unknown> {
  const folder = temporaryFolder()
  clicksIn(folder, count, seed)
  const out = await program(args(folder), { env: env(folder) })
  expect(out.code, out.stderr).toBe(0)
  return tablesOf(join(folder, 'out.sqlite'))
}

describe('killed, and started again', () => {
  it('at each point of the protocol: the sinks hold what one run gives', async () => {
    const expected = await uninterrupted(MANY)
    for (const point of POINTS) {
      for (const times of point === 'after takeover' ? [1] : [1, 3]) {
        const folder = temporaryFolder()
        clicksIn(folder, MANY)
        const killed = await program(args(folder), {
          env: env(folder, { MILLRACE_FAULT: `${point}@${times}:SIGKILL` }),
        })
        // Deletions begin after sixteen heads; a short run may end before.
        if (point !== 'between deletions' && times === 1)
          expect(killed.signal, `${point}: ${killed.stderr}`).toBe('SIGKILL')
        const again = await program(args(folder), { env: env(folder) })
        expect(again.code, `${point}: ${again.stderr}`).toBe(0)
        expect(tablesOf(join(folder, 'out.sqlite')), `${point}@${times}`).toEqual(expected)
        expect(readdirSync(join(folder, 'ck')).filter((name) => name.startsWith('.tmp'))).toEqual([])
      }
    }
  })

  it('at random instants, again and again', async () => {
    for (const seed of [1, 2]) {
      const folder = temporaryFolder()
      clicksIn(folder, 120_000, seed)
      const { kills, tables, temporaries } = await killAtRandom(folder, seed, 12)
      expect(kills).toBeGreaterThan(2)
      expect(tables, `seed ${seed}`).toEqual(await uninterrupted(120_000, seed))
      expect(temporaries).toEqual([])
    }
  })
})

describe('a zombie', () => {
  it('that was paused at any point, and wakes after another has gone on, stops with exit code 3 and has changed nothing', async () => {
    for (const point of [
      'after prepare',
      'after parts',
      'between create and listing',
      'after commit',
      'after publish',
    ] as const) {
      const folder = temporaryFolder()
      clicksIn(folder, MANY)
      const zombie = start(args(folder), { env: env(folder, { MILLRACE_FAULT: `${point}@2:SIGSTOP` }) })
      const died = ended(zombie)
      while (!/State:\s+T/.test(readFileSync(`/proc/${zombie.pid}/status`, 'utf8'))) await sleep(10)
      const second = await program(args(folder, '--take-over'), { env: env(folder) })
      expect(second.code, `${point}: ${second.stderr}`).toBe(0)
      const held = tablesOf(join(folder, 'out.sqlite'))
      const heads = readdirSync(join(folder, 'ck')).filter((name) => name.startsWith('head-')).length
      zombie.kill('SIGCONT')
      const out = await died
      expect(out.code, `${point}: ${out.stderr}`).toBe(3)
      expect(out.stderr).toContain('another process has taken this pipeline over')
      expect(tablesOf(join(folder, 'out.sqlite')), point).toEqual(held)
      expect(readdirSync(join(folder, 'ck')).filter((name) => name.startsWith('head-')).length).toBe(heads)
      expect(held).toEqual(await uninterrupted(MANY))
    }
  })
})

describe('two processes', () => {
  it('started at the same moment: one works, the other waits, names the owner, and works when that one stops', async () => {
    const folder = temporaryFolder()
    clicksIn(folder, 2000)
    const both = [0, 1].map(() => start(args(folder, '--follow'), { env: env(folder) }))
    const outcomes = both.map((child) => ended(child))
    const standby = await Promise.race(
      both.map(
        (child, i) =>
          new Promise<number>((resolve) =>
            child.stderr.on('data', (chunk: Buffer) => {
              if (chunk.includes('standby: process')) resolve(i)
            }),
          ),
      ),
    )
    const owner = 1 - standby
    both[owner]?.kill('SIGTERM')
    const first = (await outcomes[owner]) as Ended
    expect(first.code, first.stderr).toBe(0)
    appendFileSync(join(folder, 'in.ndjson'), '{"user_id":"new","action":"view"}\n')
    while (!JSON.stringify(tablesOf(join(folder, 'out.sqlite'))).includes('"new"')) await sleep(50)
    both[standby]?.kill('SIGTERM')
    const second = (await outcomes[standby]) as Ended
    expect(second.code, second.stderr).toBe(0)
    expect(second.stderr).toContain(`standby: process ${both[owner]?.pid} on `)
  })
})

describe('a followed folder', () => {
  it('is read on when files grow, appear, and are rotated by rename; each line once', async () => {
    const folder = temporaryFolder()
    const log = join(folder, 'in.ndjson')
    writeFileSync(log, '')
    const line = (i: number): string => `{"user_id":"u${i % 7}","action":"paid","timestamp":"${i}"}\n`
    const child = start(
      args(folder, '--follow').map((arg) => (arg === log ? join(folder, 'in*') : arg)),
      { env: env(folder) },
    )
    const done = ended(child)
    for (let i = 0; i < 300; i++) {
      // Half a line is left alone until it is whole.
      appendFileSync(log, line(i).slice(0, 20))
      if (i % 50 === 0) await sleep(120)
      appendFileSync(log, line(i).slice(20))
      if (i % 100 === 99) {
        renameSync(log, join(folder, `in.${i}.ndjson`))
        writeFileSync(log, '')
      }
    }
    const wanted = Array.from({ length: 300 }, (_, i) => String(i)).sort()
    const seen = (): string[] =>
      existsSync(join(folder, 'out.sqlite'))
        ? (tablesOf(join(folder, 'out.sqlite')) as { paid: { at: string }[] }).paid.map(({ at }) => at).sort()
        : []
    for (let i = 0; i < 100 && seen().length < 300; i++) await sleep(100)
    child.kill('SIGTERM')
    const out = await done
    expect(out.code, out.stderr).toBe(0)
    expect(seen()).toEqual(wanted)
  })

  it('tells a new file from the deleted one whose inode it was given, and reads packed files once', async () => {
    const folder = temporaryFolder()
    const click = (at: string): string => `{"user_id":"u","action":"paid","timestamp":"${at}"}\n`
    const from = args(folder).map((arg) => (arg.endsWith('in.ndjson') ? join(folder, 'in*') : arg))
    const run = () => program([...from, '--follow', '--until-idle', '500ms'], { env: env(folder) })
    writeFileSync(join(folder, 'in.1'), click('old'))
    writeFileSync(join(folder, 'in.2.gz'), gzipSync(click('packed')))
    expect((await run()).code).toBe(0)
    rmSync(join(folder, 'in.1'))
    writeFileSync(join(folder, 'in.1'), click('new 1') + click('new 2'))
    const again = await run()
    expect(again.code, again.stderr).toBe(0)
    expect(
      (tablesOf(join(folder, 'out.sqlite')) as { paid: { at: string }[] }).paid.map(({ at }) => at).sort(),
    ).toEqual(['new 1', 'new 2', 'old', 'packed'])
  })

  it('ends with --until-idle', async () => {
    const folder = temporaryFolder()
    clicksIn(folder, 500)
    const out = await program(args(folder, '--follow', '--until-idle', '300ms'), { env: env(folder) })
    expect(out.code, out.stderr).toBe(0)
    expect(out.stderr).toContain('exactly once: file → sqlite, checkpoints in')
  })
})

it('a sink that is new to the checkpoints starts with the whole table', async () => {
  const folder = temporaryFolder()
  clicksIn(folder, 3000)
  expect((await program(args(folder), { env: env(folder) })).code).toBe(0)
  const { users, actions } = tablesOf(join(folder, 'out.sqlite')) as { users: unknown[]; actions: unknown[] }
  expect(users.length).toBeGreaterThan(100)
  for (const name of readdirSync(folder).filter((name) => name.startsWith('out.sqlite'))) rmSync(join(folder, name))
  const again = await program(args(folder), { env: env(folder) })
  expect(again.code, again.stderr).toBe(0)
  expect(again.stderr).toContain('table users is new to these checkpoints: it starts with the whole table')
  expect(again.stderr).toContain('table paid is new to these checkpoints: it gets the events from here on')
  expect(tablesOf(join(folder, 'out.sqlite'))).toMatchObject({ users, actions })
})

describe('a start that does not fit is refused, and touches nothing', () => {
  const ready = async (): Promise<string> => {
    const folder = temporaryFolder()
    clicksIn(folder, 3000)
    const out = await program(args(folder), { env: env(folder) })
    expect(out.code, out.stderr).toBe(0)
    return folder
  }
  const refusedBy = async (folder: string, text: string, ...more: string[]): Promise<void> => {
    const before = readdirSync(join(folder, 'ck')).sort()
    const out = await program(args(folder, ...more), { env: env(folder) })
    expect(out.stderr).toContain(text)
    expect(out.stderr).not.toMatch(/^ {4}at /m)
    expect(out.code).toBe(1)
    expect(readdirSync(join(folder, 'ck')).sort()).toEqual(before)
  }

  it('where the input was truncated', async () => {
    const folder = await ready()
    truncateSync(join(folder, 'in.ndjson'), 100)
    const out = await program(args(folder), { env: env(folder) })
    expect([out.code, out.stderr]).toEqual([1, expect.stringContaining('has 100 bytes, and')])
  })

  it('where the folder was deleted under a sink that is ahead; and goes on with --fresh', async () => {
    const folder = await ready()
    const expected = tablesOf(join(folder, 'out.sqlite'))
    renameSync(join(folder, 'ck'), join(folder, 'old'))
    const out = await program(args(folder), { env: env(folder) })
    expect([out.code, out.stderr]).toEqual([1, expect.stringContaining('and the log is empty')])
    const fresh = await program(args(folder, '--fresh'), { env: env(folder) })
    expect(fresh.code, fresh.stderr).toBe(0)
    expect(tablesOf(join(folder, 'out.sqlite'))).toEqual(expected)
  })

  it('where bits have flipped, a part is missing, or an older copy was put back', async () => {
    const folder = await ready()
    const ck = join(folder, 'ck')
    cpSync(ck, join(folder, 'copy'), { recursive: true })
    const part = join(ck, readdirSync(ck).find((name) => name.endsWith('state')) as string)
    const bytes = readFileSync(part)
    bytes[bytes.length - 5]! ^= 1
    writeFileSync(part, bytes)
    const flipped = await program(args(folder), { env: env(folder) })
    expect([flipped.code, flipped.stderr]).toEqual([1, expect.stringContaining('its checksum is wrong')])
    const verified = await program([PLAN, 'checkpoints', 'verify', '--checkpoint', ck], { env: env(folder) })
    expect([verified.code, verified.stderr]).toEqual([1, expect.stringContaining('its checksum is wrong')])
  })

  it('where the sink belongs to another pipeline, or the folder does', async () => {
    const folder = await ready()
    const other = [
      join(ROOT, 'pipelines/clickstream.ts'),
      '--from',
      join(folder, 'in.ndjson'),
      '--to',
      `sqlite:${join(folder, 'out.sqlite')}?table=users`,
    ]
    const sink = await program([...other, '--checkpoint', join(folder, 'other')])
    expect([sink.code, sink.stderr]).toEqual([1, expect.stringContaining("was written by 'tables'")])
    const log = await program([
      ...other.slice(0, 3),
      '--to',
      `sqlite:${join(folder, 'new.sqlite')}?table=users`,
      '--checkpoint',
      join(folder, 'ck'),
    ])
    expect([log.code, log.stderr]).toEqual([
      1,
      expect.stringContaining("holds the checkpoints of 'tables', and this is 'clickstream'"),
    ])
    await refusedBy(folder, 'gzip', '--from', '/dev/null').catch(() => {})
  })

  it('where the state of an operator does not fit any more; --drop-state gives it up, and what was made of it', async () => {
    const folder = await ready()
    const altered = { env: env(folder, { ALTERED: 'users' }) }
    const before = readdirSync(join(folder, 'ck')).sort()
    const out = await program(args(folder), altered)
    expect([out.code, out.stderr]).toEqual([
      1,
      expect.stringContaining(
        "'users' was aggregate fields(n: count, last: latest) over events and is aggregate fields(n: count, again: count, last: latest) over events",
      ),
    ])
    expect(out.stderr).toContain('--drop-state users')
    expect(readdirSync(join(folder, 'ck')).sort()).toEqual(before)
    appendFileSync(join(folder, 'in.ndjson'), '{"user_id":"late","action":"new"}\n')
    const dropped = await program(args(folder, '--drop-state', 'users'), altered)
    expect(dropped.code, dropped.stderr).toBe(0)
    expect(dropped.stderr).toContain("the state 'users' is dropped\nthe state 'actions' is dropped\n")
    const { users, actions } = tablesOf(join(folder, 'out.sqlite')) as {
      users: { user: string; n: number; again?: number }[]
      actions: { action: string; users: number }[]
    }
    expect(users.find(({ user }) => user === 'late')).toMatchObject({ n: 1, again: 1 })
    expect(actions.find(({ action }) => action === 'new')).toMatchObject({ users: 1 })
    // The state fits now.
    expect((await program(args(folder), altered)).code).toBe(0)
  })

  it('where the state of an aggregate over a table does not fit; it is made anew of the rows that are kept', async () => {
    const folder = await ready()
    const altered = { env: env(folder, { ALTERED: 'actions' }) }
    const out = await program(args(folder), altered)
    expect([out.code, out.stderr]).toEqual([1, expect.stringContaining("'actions' was aggregate")])
    const dropped = await program(args(folder, '--drop-state', 'actions'), altered)
    expect(dropped.code, dropped.stderr).toBe(0)
    const whole = temporaryFolder()
    clicksIn(whole, 3000)
    expect((await program(args(whole), { env: env(whole, { ALTERED: 'actions' }) })).code).toBe(0)
    expect(tablesOf(join(folder, 'out.sqlite'))).toEqual(tablesOf(join(whole, 'out.sqlite')))
  })

  it('where what it is made of can’t keep the promise', async () => {
    const folder = temporaryFolder()
    const out = await program([
      join(ROOT, 'pipelines/clickstream.ts'),
      '--from',
      '-',
      '--to',
      join(folder, 'x.json'),
      '--checkpoint',
      join(folder, 'ck'),
    ])
    expect(out.code).toBe(1)
    expect(out.stderr).toContain("stdin can't be read again from a position; file")
    expect(out.stderr).toContain('takes no part in checkpoints (sqlite: and stdout do)')
  })

  it('where the disk of the checkpoints is full: says so, commits nothing, and goes on when there is room', async ({
    skip,
  }) => {
    const folder = temporaryFolder()
    clicksIn(folder, 30_000)
    const ck = join(folder, 'ck')
    mkdirSync(ck)
    const mounted = await shell(`mount -t tmpfs -o size=24k tmpfs ${ck}`)
    if (mounted.code !== 0) return skip('a tmpfs can’t be mounted here')
    try {
      const full = await program(args(folder), { env: env(folder) })
      expect([full.code, full.stderr]).toEqual([
        1,
        expect.stringContaining(`the checkpoint folder ${ck} can't be written: ENOSPC`),
      ])
      expect(full.stderr).not.toMatch(/^ {4}at /m)
      await shell(`mount -o remount,size=64m ${ck}`)
      const again = await program(args(folder), { env: env(folder) })
      expect(again.code, again.stderr).toBe(0)
      expect(tablesOf(join(folder, 'out.sqlite'))).toEqual(await uninterrupted(30_000))
      await shell(`mount -o remount,ro ${ck}`)
      const readOnly = await program(args(folder), { env: env(folder) })
      expect([readOnly.code, readOnly.stderr]).toEqual([1, expect.stringContaining("can't be written: EROFS")])
    } finally {
      await shell(`umount ${ck}`)
    }
  })
})
