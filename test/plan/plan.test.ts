import { Readable } from 'node:stream'
import {
  aggregate,
  count,
  filter,
  flatMap,
  from,
  keyBy,
  map,
  mapAsync,
  memory,
  type Operator,
  operator,
  parseJson,
  pipeline,
  stdin,
  stdout,
  top,
  union,
} from 'millrace'
import { describe, expect, it } from 'vitest'
import { topPages } from '../../pipelines/top-pages.ts'
import { describeInLine, describeMermaid } from '../../src/plan/describe.ts'

const numbers = () => from(memory([1, 2, 3]))

describe('describe', () => {
  it('shows stages, cuts, streams and tables, state, and what each engine runs', () => {
    expect(topPages.describe()).toBe(`top-pages

source file: file data/apache_access.log.gz
  1 map(parseRequest) → stream; bad records are skipped and counted
  2 keyBy → keyed stream
  ── cut: aggregating, by key ──
  3 hits: aggregate(count) → table; state 'hits': one accumulator a key
  4 map → table
  5 keyBy → keyed table
  ── cut: aggregating, by key ──
  6 best: aggregate(top(10)) → table; state 'best': one accumulator a key and what each upstream row contributed
  7 flatMap → table
  sink stdout: stdout (json), rows of a table, by key

engines
  stream  stdout: one process, fused; each row once at the end, with --live at each tick
  hadoop  stdout: job 1 of 2: mapper 1 2, combiner and reducer 3 + 4 5
  hadoop  stdout: job 2 of 2: mapper: lines as they are, combiner and reducer 6 + 7
`)
  })

  it('shows branches, unions, boundaries and side outputs', () => {
    const splitting = operator<number, number>({
      name: 'splitting',
      open: (emit, context) => ({ process: (n) => (n > 0 ? emit(n) : context.side('negative', n)) }),
    })
    const split = union(numbers(), from(memory([4]), { name: 'more' })).pipe(splitting)
    const plan = pipeline(
      'tree',
      split.pipe(mapAsync(async (n) => n)).to(stdout(), { name: 'good' }),
      split.side<number>('negative').to(stdout({ format: 'tsv' }), { name: 'bad' }),
    )
    expect(plan.describe()).toBe(`tree

source memory: memory (3 values)
  1 splitting: operator → stream
    side 'negative'
      sink bad: stdout (tsv), events
  ── boundary ──
  2 mapAsync → stream
  sink good: stdout (json), events
source more: memory (1 values)
  1 splitting: operator → stream
    side 'negative'
      sink bad: stdout (tsv), events
  ── boundary ──
  2 mapAsync → stream
  sink good: stdout (json), events

engines
  stream  good: one process, fused; straight through
  hadoop  good: one job, mappers only (1 2)
  stream  bad: one process, fused; straight through
  hadoop  bad: one job, mappers only (1)
`)
    expect(describeInLine(plan.plan)).toBe(
      'memory + memory → splitting → mapAsync → stdout; memory + memory → splitting → stdout',
    )
    expect(describeMermaid(plan.plan)).toContain('op0 -.->|negative| flow1')
  })
})

describe('a plan that is wrong', () => {
  const message = (make: () => unknown): string => {
    try {
      make()
    } catch (error) {
      return (error as Error).message
    }
    return 'nothing was wrong'
  }
  // What TypeScript refuses, JavaScript can still write.
  const untyped = <In, Out>(given: unknown): Operator<In, Out> => given as Operator<In, Out>

  it('is told about all at once', () => {
    const table = numbers()
      .pipe(keyBy((n) => n))
      .pipe(aggregate(count()))
    expect(
      message(() =>
        pipeline(
          'wrong',
          numbers()
            .pipe(untyped<number, number>(aggregate(count())))
            .to(stdout()),
          union(table, table).to(stdout(), { name: 'x' }),
          table.pipe(mapAsync(async (row) => row)).to(stdout(), { name: 'x' }),
        ),
      ),
    ).toBe(`wrong: 
  - step 1 aggregate(count): needs keys — put keyBy((value) => …) before it
  - union: a table (the rows after an aggregate) has no order to be joined in — union the streams before keyBy
  - step 4 mapAsync: waits, and rows of a table can't wait yet — put it before keyBy, or into the code that reads the sink
  - two of its flows are named 'x' — name one of them: { name: '…' }`)
  })

  it.each([
    [() => pipeline('', numbers().to(stdout())), "a pipeline's name is letters"],
    [() => pipeline('x', numbers() as never), 'end the stream in a sink: .to(stdout())'],
    [() => (pipeline as (name: string) => unknown)('x'), 'has no flow'],
    [() => numbers().pipe((() => 1) as never), 'pipe takes an operator, such as map(…); got function'],
    [
      () => numbers().pipe(filter((n: number) => n > 1).pipe(map((n: number) => n)) as never),
      'was piped as a plain Node stream',
    ],
    [() => numbers().to(process.stdout as never), 'to takes a sink'],
    [() => from([1] as never), 'from takes a source'],
    [() => map(async (n: number) => n), 'map: the function is async, and inside a stage nothing waits — use mapAsync'],
    [() => map(undefined as never), 'map takes a function; got undefined'],
    [() => from(stdin()).side('late'), "side('late'): only an operator has side outputs"],
    [() => aggregate(count as never), 'aggregate takes an Aggregate'],
    [() => top(0, () => 1), 'top takes a whole number'],
  ])('names the mistake %#', (make, expected) => expect(message(make)).toContain(expected))

  it('is refused where an operator was used as a stream after it was taken in', async () => {
    const used = filter((n: number) => n > 1)
    const stream = numbers().pipe(used)
    await Readable.from([1]).pipe(used).resume().toArray()
    expect(message(() => pipeline('x', stream.to(stdout())))).toContain('was piped as a plain Node stream')
  })
})

it('a stream is immutable: piped twice it branches', () => {
  const both = from(stdin()).pipe(parseJson())
  const { plan } = pipeline('two', both.pipe(map(() => 1)).to(stdout()), both.pipe(flatMap(() => [2])).to(stdout()))
  expect(plan.sources.length).toBe(1)
  expect(plan.operators.map(({ id }) => id)).toEqual(['1 parseJson', '2 map', '3 flatMap'])
  expect(plan.flows.map(({ name }) => name)).toEqual(['stdout', 'stdout-2'])
  expect(Object.isFrozen(plan)).toBe(true)
})
