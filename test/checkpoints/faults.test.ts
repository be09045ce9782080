import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type Ended, ended, program, ROOT, shell, start, temporaryFolder } from '../support/program.ts'
import {
  args,
  argsOf,
  clicksIn,
  env,
  type FaultPlan,
  FILES,
  PLAN,
  PLANS,
  TABLES,
  tablesOf,
  temporariesIn,
} from './fault-runs.ts'

/** Enough for several checkpoints: where a fault is wanted they come as often as asked. */
const MANY = new Map([
  [TABLES, 200_000],
  [FILES, 60_000],
])

const POINTS = new Map([
  [
    TABLES,
    [
      'after takeover',
      'after sinks began',
      'after prepare',
      'after parts',
      'between create and listing',
      'after commit',
      'between sinks',
      'after publish',
      'between deletions',
    ],
  ],
  [
    FILES,
    ['after sinks began', 'after commit', 'between sinks', 'between files', 'file written', 'between link and unlink'],
  ],
])

/** Checkpoints come as often as asked, and nothing is killed. */
const OFTEN = { MILLRACE_FAULT: 'none@1:SIGKILL' }

const wholes = new Map<FaultPlan, Promise<unknown>>()

/** What a run gives that nobody kills. */
function whole(plan: FaultPlan): Promise<unknown> {
  const known = wholes.get(plan)
  if (known !== undefined) return known
  const run = (async () => {
    const folder = temporaryFolder()
    plan.make(folder, MANY.get(plan) as number, 1)
    const out = await program(argsOf(plan, folder), { env: env(folder) })
    expect(out.code, out.stderr).toBe(0)
    return plan.held(folder)
  })()
  wholes.set(plan, run)
  return run
}

async function uninterrupted(count: number): Promise<unknown> {
  const folder = temporaryFolder()
  clicksIn(folder, count)
  const out = await program(args(folder), { env: env(folder) })
  expect(out.code, out.stderr).toBe(0)
  return tablesOf(join(folder, 'out.sqlite'))
}

describe.each(PLANS)('killed, and started again: $name', (plan) => {
  it('at each point of the protocol: the sinks hold what one run gives', async () => {
    const expected = await whole(plan)
    for (const point of POINTS.get(plan) as string[]) {
      for (const times of point === 'after takeover' || point === 'after sinks began' ? [1] : [1, 3]) {
        const folder = temporaryFolder()
        plan.make(folder, MANY.get(plan) as number, 1)
        const killed = await program(argsOf(plan, folder), {
          env: env(folder, { MILLRACE_FAULT: `${point}@${times}:SIGKILL` }),
        })
        // Deletions begin after sixteen heads; a short run may end before.
        if (point !== 'between deletions' && times === 1)
          expect(killed.signal, `${point}: ${killed.stderr}`).toBe('SIGKILL')
        const again = await program(argsOf(plan, folder), { env: env(folder) })
        expect(again.code, `${point}: ${again.stderr}`).toBe(0)
        expect(plan.held(folder), `${point}@${times}`).toEqual(expected)
        expect(temporariesIn(folder)).toEqual([])
        rmSync(folder, { recursive: true })
      }
    }
  })
})

describe.each(PLANS)('a zombie: $name', (plan) => {
  it('paused at any point, woken after another has gone on for many checkpoints, stops with exit code 3 and has changed nothing', async () => {
    const expected = await whole(plan)
    const points = (POINTS.get(plan) as string[]).filter(
      (point) => point !== 'between deletions' && point !== 'after takeover' && point !== 'after sinks began',
    )
    for (const point of points) {
      const folder = temporaryFolder()
      plan.make(folder, MANY.get(plan) as number, 1)
      const zombie = start(argsOf(plan, folder), { env: env(folder, { MILLRACE_FAULT: `${point}@2:SIGSTOP` }) })
      const died = ended(zombie)
      while (!/State:\s+T/.test(readFileSync(`/proc/${zombie.pid}/status`, 'utf8'))) await sleep(10)
      const paused = lastNumber(folder)
      // Goes on to the end, and then for as many checkpoints more as it takes until old ones were deleted.
      const second = await program(argsOf(plan, folder, '--take-over'), { env: env(folder, OFTEN) })
      expect(second.code, `${point}: ${second.stderr}`).toBe(0)
      while (lastNumber(folder) < paused + 20) {
        const more = await program(argsOf(plan, folder, '--take-over'), { env: env(folder, OFTEN) })
        expect(more.code, `${point}: ${more.stderr}`).toBe(0)
      }
      const held = plan.held(folder)
      const heads = readdirSync(join(folder, 'ck')).filter((name) => name.startsWith('head-'))
      zombie.kill('SIGCONT')
      const out = await died
      expect(out.code, `${point}: ${out.stderr}`).toBe(3)
      expect(out.stderr).toContain('another process has taken this pipeline over')
      expect(plan.held(folder), point).toEqual(held)
      expect(held).toEqual(expected)
      expect(readdirSync(join(folder, 'ck')).filter((name) => name.startsWith('head-'))).toEqual(heads)
      // What it began itself goes with the next start.
      const last = await program(argsOf(plan, folder), { env: env(folder) })
      expect(last.code, last.stderr).toBe(0)
      expect(temporariesIn(folder)).toEqual([])
      rmSync(folder, { recursive: true })
    }
  })
})

/** The number of the last checkpoint. */
function lastNumber(folder: string): number {
  return Number(
    readdirSync(join(folder, 'ck'))
      .filter((name) => name.startsWith('head-'))
      .sort()
      .at(-1)
      ?.slice(-12),
  )
}

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

describe('two processes that start at the same moment', () => {
  it('200 times: exactly one works, the other waits and names the owner', async () => {
    const racers = [0, 1].map(() => start([join(ROOT, 'test/checkpoints/racer.ts')]))
    const says = racers.map((racer) => createInterface({ input: racer.stdout })[Symbol.asyncIterator]())
    const hear = async (i: number): Promise<string> => (await says[i]?.next())?.value as string
    const tell = (text: string): void => {
      for (const racer of racers) racer.stdin.write(`${text}\n`)
    }
    const both = temporaryFolder()
    for (let race = 0; race < 200; race++) {
      const folder = join(both, String(race))
      mkdirSync(folder)
      writeFileSync(join(folder, 'in'), 'a\nb\na\n')
      tell(folder)
      const heard = [hear(0), hear(1)] as const
      const standby = await Promise.race(heard.map(async (line, i) => ({ i, line: await line })))
      expect(standby.line).toContain(`standby: process ${racers[1 - standby.i]?.pid} on `)
      tell('stop')
      expect(await heard[1 - standby.i]).toMatch(/^ended owner [03]$/)
      expect(await hear(standby.i)).toBe('ended standby 0')
      rmSync(folder, { recursive: true })
    }
    for (const racer of racers) racer.stdin.end()
    expect((await Promise.all(racers.map(ended))).map(({ code }) => code)).toEqual([0, 0])
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

  it('where any kind of blob that is needed has a flipped bit, was cut, or is missing; and where the newest are missing', async () => {
    const folder = temporaryFolder()
    const all = readFileSync(clicksIn(folder, 100_000), 'utf8').split(/(?<=\n)/)
    const input = join(folder, 'in.ndjson')
    writeFileSync(input, '')
    // Killed where something is pending, after enough checkpoints for a merge.
    const child = start(args(folder, '--follow'), { env: env(folder, { MILLRACE_FAULT: 'after commit@24:SIGKILL' }) })
    const killed = ended(child)
    let given = 0
    for (; child.signalCode === null && child.exitCode === null; given += 250) {
      appendFileSync(input, all.slice(given, given + 250).join(''))
      await sleep(20)
    }
    expect((await killed).signal, (await killed).stderr).toBe('SIGKILL')
    appendFileSync(input, all.slice(given).join(''))
    const ck = join(folder, 'ck')
    const good = join(folder, 'good')
    cpSync(ck, good, { recursive: true })
    const names = readdirSync(ck).sort()
    const lastHead = names.filter((name) => name.startsWith('head-')).at(-1) as string
    const named = (kind: RegExp): string =>
      names.find((name) => kind.test(name) && readFileSync(join(ck, lastHead), 'utf8').includes(name)) as string
    const blobs = [lastHead, named(/-state$/), named(/-pending$/), named(/-merged-\d+$/)]
    expect(blobs).not.toContain(undefined)
    const harm = {
      flipped: (path: string) => {
        const bytes = readFileSync(path)
        bytes[bytes.length >> 1]! ^= 1
        writeFileSync(path, bytes)
      },
      cut: (path: string) => truncateSync(path, readFileSync(path).length >> 1),
      missing: (path: string) => rmSync(path),
    }
    for (const name of blobs) {
      for (const [how, damage] of Object.entries(harm)) {
        if (name === lastHead && how === 'missing') continue
        rmSync(ck, { recursive: true })
        cpSync(good, ck, { recursive: true })
        damage(join(ck, name))
        const before = tablesOf(join(folder, 'out.sqlite'))
        const out = await program(args(folder), { env: env(folder) })
        expect([out.code, out.stderr], `${name} ${how}`).toEqual([1, expect.stringContaining(`${name} can't be used`)])
        expect(out.stderr).toContain('start again with --fresh')
        expect(out.stderr).not.toMatch(/^ {4}at /m)
        expect(tablesOf(join(folder, 'out.sqlite')), `${name} ${how}`).toEqual(before)
      }
    }
    // A copy that was made before the newest were written, or only half.
    rmSync(ck, { recursive: true })
    cpSync(good, ck, { recursive: true })
    const heads = names.filter((name) => name.startsWith('head-'))
    for (const name of heads.slice(-2)) rmSync(join(ck, name))
    const older = await program(args(folder), { env: env(folder) })
    expect([older.code, older.stderr]).toEqual([1, expect.stringContaining('it was deleted or is an old copy')])
    rmSync(ck, { recursive: true })
    cpSync(good, ck, { recursive: true })
    const again = await program(args(folder), { env: env(folder) })
    expect(again.code, again.stderr).toBe(0)
    expect(tablesOf(join(folder, 'out.sqlite'))).toEqual(await uninterrupted(100_000))
  })

  it('where the sink belongs to another pipeline, or the folder does', async () => {
    const folder = await ready()
    const other = [
      join(ROOT, 'test/support/clickstream.ts'),
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
      join(ROOT, 'test/support/clickstream.ts'),
      '--from',
      '-',
      '--to',
      join(folder, 'x.json'),
      '--checkpoint',
      join(folder, 'ck'),
    ])
    expect(out.code).toBe(1)
    expect(out.stderr).toContain("stdin can't be read again from a position")
  })

  it('where the disk fills at any write, of checkpoints or sinks: says so, and goes on when there is room', async ({
    skip,
  }) => {
    const expected = await whole(FILES)
    let full = 0
    for (let kilobytes = 100; kilobytes < 8000; kilobytes = Math.ceil(kilobytes * 1.35)) {
      const folder = temporaryFolder()
      FILES.make(folder, MANY.get(FILES) as number, 1)
      const disk = join(folder, 'disk')
      mkdirSync(disk)
      if ((await shell(`mount -t tmpfs -o size=${kilobytes}k tmpfs ${disk}`)).code !== 0)
        return skip('a tmpfs can’t be mounted here')
      try {
        rmdirSync(join(folder, 'out'))
        for (const name of ['ck', 'out']) {
          mkdirSync(join(disk, name))
          symlinkSync(join(disk, name), join(folder, name))
        }
        const first = await program(argsOf(FILES, folder), { env: env(folder, OFTEN) })
        if (first.code !== 0) {
          full++
          expect([first.code, first.stderr]).toEqual([1, expect.stringMatching(/ENOSPC|disk is full|disk I\/O error/)])
          expect(first.stderr).not.toMatch(/^ {4}at /m)
          await shell(`mount -o remount,size=64m ${disk}`)
          const again = await program(argsOf(FILES, folder), { env: env(folder) })
          expect(again.code, again.stderr).toBe(0)
        }
        expect(FILES.held(folder), `${kilobytes} kB`).toEqual(expected)
        expect(temporariesIn(folder)).toEqual([])
      } finally {
        await shell(`umount ${disk}`)
      }
    }
    expect(full).toBeGreaterThan(8)
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
