import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { execute, file, type Pipeline, type Sink } from 'millrace'
import { Random } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { accessLog } from '../../pipelines/access-log.ts'
import { clickstream } from '../../pipelines/clickstream.ts'
import { topPages } from '../../pipelines/top-pages.ts'
import { userActions } from '../../pipelines/user-actions.ts'
import { compareBytes } from '../../src/core/canonical.ts'
import { keyText } from '../../src/core/key.ts'
import { lineOf } from '../../src/formats/format.ts'
import { frameLines } from '../../src/formats/lines.ts'
import { combineRole, mapRole, reduceRole } from '../../src/hadoop/roles.ts'
import { cutsOf } from '../../src/plan/plan.ts'
import { verifyFlow } from '../../src/verify.ts'
import { program, ROOT, shell, temporaryFolder } from '../support/program.ts'
import { hostileInput } from './hostile-input.ts'
import { randomPlan } from './random-plan.ts'

/** The stream's bytes: rows as `key TAB text`, events as text. */
async function streamed(pipe: Pipeline, path: string): Promise<string> {
  const { plan } = pipe
  const flow = plan.flows[0]!
  const line = lineOf(flow.sink.sink.format, flow.sink.sink.columns)
  let text = ''
  const sink: Sink<unknown> = {
    sink: {
      kind: 'text',
      label: 'text',
      open: async () => ({
        write: (output) => {
          if (output.kind === 'events') for (const value of output.values) text += line(value)
          else for (const { key, value } of output.changes) text += `${keyText(key)}\t${line(value)}`
        },
        close: async () => {},
        abort: async () => {},
      }),
    },
  }
  await execute(pipe, { sources: new Map([[plan.sources[0]!.name, file(path)]]), sinks: new Map([[flow.name, sink]]) })
  return text
}

type Runner = typeof mapRole

/** A role over bytes, in this process; the shuffle is a sort of lines by bytes. */
async function play(role: Runner, pipe: Pipeline, step: number, input: Buffer, withKeys = false): Promise<Buffer> {
  const { plan } = pipe
  const output = new PassThrough()
  const written = output.toArray()
  const lines = frameLines(Readable.from([input]), { source: plan.sources[0]!.name, partition: 'split' })
  await role({ plan, flow: plan.flows[0]!, step, withKeys }, lines, output)
  output.end()
  return Buffer.concat((await written) as Buffer[])
}

const linesOf = (bytes: Buffer): string[] => bytes.toString().split('\n').slice(0, -1)
const sorted = (lines: readonly string[]): Buffer =>
  Buffer.from(
    lines
      .toSorted(compareBytes)
      .map((line) => `${line}\n`)
      .join(''),
  )

/** The job with other cuts: splits at line ends by chance, keys spread over reducers, combiners run so many times. */
async function job(
  pipe: Pipeline,
  input: Buffer,
  random: Random,
  shape: { splits: number; reducers: number; combine: number },
): Promise<string> {
  const { plan } = pipe
  const steps = cutsOf(plan, plan.flows[0]!).length
  const ends = [...input.entries()].filter(([, byte]) => byte === 10).map(([at]) => at + 1)
  const cuts = Array.from({ length: shape.splits - 1 }, () => (ends.length === 0 ? 0 : random.pick(ends))).sort(
    (a, b) => a - b,
  )
  const splits = [0, ...cuts].map((start, i) => input.subarray(start, cuts[i] ?? input.length))
  let mapped = await Promise.all(splits.map((split) => play(mapRole, pipe, 1, split)))
  if (steps === 0) return Buffer.concat(mapped).toString()
  for (let pass = 0; pass < shape.combine; pass++)
    mapped = await Promise.all(mapped.map((output) => play(combineRole, pipe, 1, sorted(linesOf(output)))))
  let parts = mapped
  for (let step = 1; step <= steps; step++) {
    const shares: string[][] = Array.from({ length: shape.reducers }, () => [])
    const at = new Map<string, number>()
    for (const line of parts.flatMap(linesOf)) {
      const key = line.slice(0, line.indexOf('\t'))
      if (!at.has(key)) at.set(key, random.below(shape.reducers))
      shares[at.get(key)!]!.push(line)
    }
    parts = await Promise.all(
      shares.map((share) => play(reduceRole, pipe, step, sorted(random.shuffle(share)), step === steps)),
    )
  }
  // Merged by key; rows of one key come from one reducer and keep their order.
  const rows = parts.flatMap(linesOf).map((line, i) => ({ key: line.slice(0, line.indexOf('\t')), line, i }))
  rows.sort((a, b) => compareBytes(a.key, b.key) || a.i - b.i)
  return rows.map(({ line }) => `${line}\n`).join('')
}

describe('the stream and the MapReduce job give the same bytes', () => {
  it('for plans and inputs made by chance, however the work is cut', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'input')
    for (let seed = 1; seed <= 120; seed++) {
      const random = new Random(seed)
      const pipe = randomPlan(seed)
      const input = hostileInput(seed, random.below(60))
      writeFileSync(path, input)
      const stream = await streamed(pipe, path)
      for (let i = 0; i < 3; i++) {
        const shape = { splits: 1 + random.below(7), reducers: 1 + random.below(5), combine: random.below(3) }
        expect(
          await job(pipe, input, random, shape),
          `seed ${seed}, ${JSON.stringify(shape)}\n${pipe.describe()}`,
        ).toBe(stream)
      }
    }
  })

  it('with real processes and a real sort, for every shipped pipeline', async () => {
    const folder = temporaryFolder()
    const clicks = join(folder, 'clicks.ndjson')
    writeFileSync(clicks, Buffer.concat([hostileInput(5, 3000), hostileInput(6, 3000)]))
    const log = join(ROOT, 'data/apache_access.log.gz')
    for (const [module, pipe, input, shape] of [
      ['pipelines/clickstream', clickstream, clicks, { splits: 7, reducers: 5, combine: 2 }],
      ['pipelines/user-actions', userActions, clicks, { splits: 3, reducers: 2, combine: 1 }],
      ['pipelines/access-log', accessLog, log, { splits: 1, reducers: 1, combine: 0 }],
      ['pipelines/top-pages', topPages, log, { splits: 2, reducers: 3, combine: 1 }],
    ] as const) {
      const verdicts = await verifyFlow(
        {
          plan: pipe.plan,
          flow: pipe.plan.flows[0]!,
          inputs: new Map([[pipe.plan.sources[0]!.name, input]]),
          reenter: (command) => [join(ROOT, `${module}.ts`), command],
        },
        [shape],
      )
      expect(verdicts[0]!.difference, module).toBeUndefined()
      expect(verdicts[0]!.rows).toBeGreaterThan(10)
    }
  })

  it('with real processes, for plans made by chance', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'input')
    for (const seed of [3, 14, 15, 92]) {
      writeFileSync(path, hostileInput(seed, 500))
      const out = await program(
        [
          join(ROOT, 'test/hadoop/random-plan.ts'),
          'verify',
          '--input',
          path,
          '--splits',
          '3',
          '--reducers',
          '3',
          '--combine',
          '1',
        ],
        { env: { PLAN_SEED: String(seed) } },
      )
      expect(out.stdout, out.stderr).toContain('same bytes as the batch engine: yes')
      expect(out.code).toBe(0)
    }
  })

  it('through a shell pipe: map | sort | combine | sort | reduce', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'in'), hostileInput(9, 2000))
    const module = join(ROOT, 'pipelines/user-actions.ts')
    const piped = await shell(
      `node ${module} map < in 2>/dev/null | LC_ALL=C sort | node ${module} combine | LC_ALL=C sort | node ${module} reduce`,
      { cwd: folder },
    )
    const run = await program([module, 'run', '--from', 'in', '--quiet'], { cwd: folder })
    expect(run.code).toBe(0)
    expect(piped.stdout).toBe(run.stdout)
    expect(piped.stdout.length).toBeGreaterThan(100)
  })

  it('through a shell pipe, over two aggregates', async () => {
    const module = join(ROOT, 'pipelines/top-pages.ts')
    const piped = await shell(
      `zcat data/apache_access.log.gz | node ${module} map 2>/dev/null | LC_ALL=C sort | node ${module} reduce | LC_ALL=C sort | node ${module} reduce --step 2`,
    )
    const run = await program([module, '--quiet'])
    expect(piped.stdout).toBe(run.stdout)
  })
})

describe('batch', () => {
  const module = join(ROOT, 'test/support/clickstream.ts')

  it('writes parts in key order and _SUCCESS, refuses an output that is there, and leaves none when it fails', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'in'), hostileInput(1, 1000))
    writeFileSync(join(folder, 'in2.gz'), gzipSync(hostileInput(2, 1000)))
    const made = await program([module, 'batch', '--input', 'in*', '--output', 'out', '--reducers', '3'], {
      cwd: folder,
    })
    expect(made.stderr).toMatch(/read [\d,]+ records, skipped [\d,]+, 3 parts/)
    expect(readdirSync(join(folder, 'out')).sort()).toEqual(['_SUCCESS', 'part-00000', 'part-00001', 'part-00002'])
    const merged = await program([module, 'batch', '--input', 'in*', '--quiet'], { cwd: folder })
    const parts = [0, 1, 2].flatMap((i) =>
      readFileSync(join(folder, `out/part-0000${i}`), 'utf8')
        .split('\n')
        .slice(0, -1),
    )
    expect(parts.toSorted()).toEqual(merged.stdout.split('\n').slice(0, -1).toSorted())
    const again = await program([module, 'batch', '--input', 'in', '--output', 'out'], { cwd: folder })
    expect([again.code, again.stderr]).toEqual([
      1,
      'error: the output out exists — remove it or name another (MLR_ERR_OUTPUT_EXISTS)\n',
    ])
    writeFileSync(join(folder, 'cut.gz'), gzipSync('x'.repeat(1000)).subarray(0, 20))
    const failed = await program([module, 'batch', '--input', 'cut.gz', '--output', 'none'], { cwd: folder })
    expect(failed.code).toBe(1)
    expect(failed.stderr).toContain('cut.gz is damaged or cut short')
    expect(readdirSync(folder).sort()).toEqual(['cut.gz', 'in', 'in2.gz', 'out'])
  })

  it('cuts splits anywhere, and each line is in exactly one', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'in')
    writeFileSync(
      path,
      Array.from(
        { length: 997 },
        (_, i) => `{"user_id":"${'u'.repeat(1 + ((i * 7919) % 300))}","action":"${i}"}\n`,
      ).join(''),
    )
    const whole = await program([module, '--quiet', '--from', path])
    for (const splits of ['1', '2', '5', '13']) {
      const out = await program([module, 'batch', '--quiet', '--input', path, '--splits', splits])
      expect(out.stdout).toBe(whole.stdout)
    }
  })
})

it('verify names the first difference of an aggregate that depends on the order', async () => {
  const folder = temporaryFolder()
  writeFileSync(
    join(folder, 'in'),
    Array.from({ length: 400 }, (_, i) => `{"user_id":"u${i % 9}","action":"a${i}"}\n`).join(''),
  )
  const out = await program([join(ROOT, 'test/hadoop/wrong-plan.ts'), 'verify', '--input', join(folder, 'in')])
  expect(out.code).toBe(1)
  expect(out.stdout).toContain('same bytes as the batch engine: NO')
  expect(out.stdout).toMatch(
    /first difference: row 1, key "u0"\n {2}stream: \{"key":"u0","value":"(a\d+)+"\}\n {2}batch: {2}\{"key":"u0","value":"(a\d+)+\|/,
  )
  expect(out.stderr).toContain('MLR_ERR_DIFFERENT')
})
