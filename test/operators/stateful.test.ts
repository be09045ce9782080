import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  aggregate,
  count,
  execute,
  file,
  from,
  keyBy,
  map,
  memory,
  parseJson,
  pipeline,
  sqlite,
  stateful,
  stdout,
  union,
} from 'millrace'
import { Random, testDriver } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { MemoryStateStore } from '../../src/core/state-store.ts'
import { clickLines } from '../../src/sources/clicks.ts'
import { program, ROOT, shell, temporaryFolder } from '../support/program.ts'

interface Visit {
  readonly user: string
  readonly n: number
}

/** The difference to the user's visit before. */
const steps = () =>
  stateful<string, Visit, { user: string; step: number }>({
    name: 'steps',
    time: (visit) => visit.n,
    open: (emit, context) => {
      const last = context.state<number>('last')
      return {
        process: ({ key, value }) => {
          const before = last.get()
          if (before !== undefined) emit({ user: key, step: value.n - before })
          if (value.n < 0) last.delete()
          else last.set(value.n)
        },
      }
    },
  })

describe('stateful', () => {
  it('keeps values by key and name, of any key, and forgets what is deleted', () => {
    const driver = testDriver(
      pipeline(
        'p',
        from(memory<Visit>([]))
          .pipe(keyBy((visit) => visit.user))
          .pipe(steps())
          .to(stdout()),
      ),
    )
    for (const [user, n] of [
      ['__proto__', 1],
      ['b', 5],
      ['__proto__', 4],
      ['b', -1],
      ['b', 7],
      ['b', 9],
    ] as const)
      driver.push({ user, n })
    expect(driver.output()).toEqual([
      { user: '__proto__', step: 3 },
      { user: 'b', step: -6 },
      { user: 'b', step: 2 },
    ])
  })

  it('has one state where two sources lead to it', async () => {
    const out: unknown[] = []
    const both = union(from(memory<Visit>([{ user: 'a', n: 1 }])), from(memory<Visit>([{ user: 'a', n: 3 }])))
    await execute(
      pipeline(
        'p',
        both
          .pipe(keyBy((visit) => visit.user))
          .pipe(steps())
          .to(memory(out as { user: string; step: number }[])),
      ),
    )
    expect(out.length).toBe(1)
  })

  it('tells its mistakes: no key, a table, a state outside of process, nothing emitted', async () => {
    const visits = from(memory<Visit>([{ user: 'a', n: 1 }]))
    const untyped = steps() as never
    expect(() => pipeline('p', visits.pipe(untyped).to(stdout()))).toThrow('needs keys — put keyBy')
    expect(() =>
      pipeline(
        'p',
        visits
          .pipe(keyBy((v) => v.user))
          .pipe(aggregate(count()))
          .pipe(keyBy((r) => r.key))
          .pipe(untyped)
          .to(stdout()),
      ),
    ).toThrow('rows of a table replace each other')
    expect(() => stateful({} as never)).toThrow('stateful takes { open')
    const wrong = (open: Parameters<typeof stateful<string, Visit, number>>[0]['open']) =>
      execute(
        pipeline(
          'p',
          visits
            .pipe(keyBy((visit) => visit.user))
            .pipe(stateful<string, Visit, number>({ open }))
            .to(memory<number>([])),
        ),
      )
    await expect(
      wrong((_emit, context) => {
        context.state('x').get()
        return { process: () => {} }
      }),
    ).rejects.toThrow('a state belongs to a key')
    await expect(wrong((emit) => ({ process: () => emit(undefined as never) }))).rejects.toThrow('gave undefined')
    await expect(
      wrong(() => ({
        process: () => {
          throw new Error('no')
        },
      })),
    ).rejects.toThrow(/p › 2 stateful: no \(value: object/)
  })

  it('describes itself as an ordered cut', () => {
    const plan = pipeline(
      'p',
      from(file('x'))
        .pipe(parseJson())
        .pipe(keyBy((v) => (v as Visit).user))
        .pipe(steps() as never)
        .to(stdout()),
    )
    expect(plan.describe()).toContain(
      "── cut: ordered, by key ──\n  3 steps: stateful → stream; state 'steps': its values a key",
    )
    expect(plan.describe()).toContain('job 1 of 1: mapper 1 2, sorted by time, reducer 3')
  })
})

it('in a batch a key’s records come by time, then by canonical bytes, those without a time first; with their members as they were', async () => {
  const folder = temporaryFolder()
  const module = join(folder, 'order.ts')
  writeFileSync(
    module,
    `import { file, from, keyBy, parseJson, pipeline, run, stateful, stdout } from ${JSON.stringify(join(ROOT, 'src/index.ts'))}
const order = pipeline('order', from(file('x')).pipe(parseJson()).pipe(keyBy((v) => v.k))
  .pipe(stateful({ time: (v) => v.t, open: (emit, context) => {
    const n = context.state('n')
    return { process: ({ key, value }) => { n.set((n.get() ?? 0) + 1); emit({ n: n.get(), value }) } }
  } })).to(stdout()))
await run(order)
`,
  )
  const records = [
    '{"k":"a","t":-5,"x":1}',
    '{"k":"a","x":0}',
    '{"x":2,"k":"a","t":3}',
    '{"k":"a","t":3,"x":1}',
    '{"k":"a","t":20}',
    '{"k":"a","t":1700000000000.5}',
    '{"k":["b",1],"t":1}',
  ]
  const input = join(folder, 'in')
  writeFileSync(input, `${new Random(3).shuffle(records).join('\n')}\n`)
  const expected = [
    '{"n":1,"value":{"k":"a","x":0}}',
    '{"n":2,"value":{"k":"a","t":-5,"x":1}}',
    '{"n":3,"value":{"k":"a","t":3,"x":1}}',
    '{"n":4,"value":{"x":2,"k":"a","t":3}}',
    '{"n":5,"value":{"k":"a","t":20}}',
    '{"n":6,"value":{"k":"a","t":1700000000000.5}}',
    '{"n":1,"value":{"k":["b",1],"t":1}}',
  ]
  for (const combine of ['0', '1']) {
    const out = join(folder, `out-${combine}`)
    const ran = await program([
      module,
      'batch',
      '--input',
      input,
      '--output',
      out,
      '--splits',
      '3',
      '--reducers',
      '1',
      '--combine',
      combine,
    ])
    expect(ran.code, ran.stderr).toBe(0)
    expect(readFileSync(join(out, 'part-00000'), 'utf8').trimEnd().split('\n')).toEqual(expected)
  }
  const piped = await shell(
    `node ${module} map < ${input} | LC_ALL=C sort | node ${module} combine | node ${module} reduce`,
  )
  expect(piped.stdout.trimEnd().split('\n')).toEqual(expected)
  const broken = await shell(`echo 'no line' | node ${module} reduce`)
  expect([broken.code, broken.stderr]).toEqual([
    1,
    expect.stringContaining('line 1 of the input is not key TAB time TAB value'),
  ])
})

it('the shipped pipeline gives the same alerts as a stream and as a job', async () => {
  const folder = temporaryFolder()
  const input = join(folder, 'in')
  const next = clickLines({ seed: 4, users: 40, malformed: 0.01 })
  writeFileSync(input, Array.from({ length: 30_000 }, next).join(''))
  const out = await program([join(ROOT, 'pipelines/bots.ts'), 'verify', '--input', input])
  expect(out.code, out.stderr).toBe(0)
  const stream = await program([join(ROOT, 'pipelines/bots.ts'), '--from', input, '--quiet'])
  expect(stream.stdout.split('\n').length).toBeGreaterThan(50)
  expect(JSON.parse(stream.stdout.split('\n')[0] as string)).toMatchObject({ clicks: 10 })
})

it('its values are in the checkpoints: a stream that was stopped between any two records goes on as if it had not been', async () => {
  const folder = temporaryFolder()
  const input = join(folder, 'in')
  const random = new Random(9)
  const visits = Array.from({ length: 400 }, (_, n) => ({ user: `u${random.below(7)}`, n: n % 50 === 49 ? -1 : n }))
  const sum = (path: string) =>
    pipeline(
      'sums',
      from(file(input))
        .pipe(parseJson())
        .pipe(map((value) => value as Visit))
        .pipe(keyBy((visit) => visit.user))
        .pipe(steps())
        .to(sqlite({ path, table: 'steps' })),
    )
  const whole: { user: string; step: number }[] = []
  writeFileSync(input, '')
  for (let from = 0; from < visits.length; ) {
    const some = visits.slice(from, (from += 1 + random.below(60)))
    writeFileSync(input, some.map((visit) => `${JSON.stringify(visit)}\n`).join(''), { flag: 'a' })
    await execute(sum(join(folder, 'out.sqlite')), { checkpoint: join(folder, 'ck') })
  }
  await execute(
    pipeline(
      'whole',
      from(memory(visits))
        .pipe(keyBy((visit) => visit.user))
        .pipe(steps())
        .to(memory(whole)),
    ),
  )
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(join(folder, 'out.sqlite'))
  const rows = database.prepare('SELECT user, step FROM steps ORDER BY rowid').all()
  database.close()
  expect(rows.map((row) => ({ ...row }))).toEqual(whole)
  const shown = await program([
    join(ROOT, 'pipelines/bots.ts'),
    'checkpoints',
    'show',
    '--checkpoint',
    join(folder, 'ck'),
    '--key',
    'u1',
  ])
  expect(shown.stdout).toMatch(/'steps' {2}"u1" {2}\{"last":\d+\}/)
  expect(readdirSync(join(folder, 'ck')).length).toBeGreaterThan(16)
})

it('the store in memory tells what changed, once', () => {
  const store = new MemoryStateStore()
  const taken: unknown[] = []
  const take = (key: unknown, values: string | null): void => void taken.push([key, values])
  store.set('b', '__proto__', 1)
  store.set(['a'], 'x', { y: 2 })
  store.delete('none', 'x')
  expect(store.size).toBe(2)
  store.takeChanged(take)
  store.delete('b', '__proto__')
  store.takeChanged(take)
  store.takeChanged(take)
  expect(taken).toEqual([
    ['b', '{"__proto__":1}'],
    [['a'], '{"x":{"y":2}}'],
    ['b', null],
  ])
  expect(store.size).toBe(1)
})
