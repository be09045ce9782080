import {
  type Aggregate,
  aggregate,
  collect,
  count,
  countDistinct,
  fields,
  filter,
  flatMap,
  from,
  keyBy,
  map,
  memory,
  type Pipeline,
  pipeline,
  sum,
  top,
} from 'millrace'
import { Random, testDriver } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { intoArray } from '../support/into-array.ts'

interface Vote {
  readonly voter: string
  readonly candidate: string
  readonly weight: number
}

const votes = () => from(memory<Vote>([]))
const nothing: unknown[] = []

/** What one pass over all of it gives: the batch answer. */
function atOnce(pipe: Pipeline, input: readonly Vote[]): unknown[] {
  const driver = testDriver(pipe)
  for (const vote of input) driver.push(vote)
  driver.end()
  return driver.output()
}

// The latest weight of each voter and candidate, then something over that table.
const latestVotes = votes()
  .pipe(keyBy((vote) => [vote.voter, vote.candidate]))
  .pipe(aggregate(fields({ n: count(), weight: sum((vote) => vote.weight) }), { name: 'votes' }))
  .pipe(map(({ key: [voter, candidate], value }) => ({ voter, candidate, ...value })))

interface Total {
  readonly voter: string
  readonly candidate: string
  readonly n: number
  readonly weight: number
}

const over = <Acc, Out>(by: Aggregate<Total, Acc, Out>): Pipeline =>
  pipeline(
    'votes',
    latestVotes
      .pipe(keyBy((row) => row.candidate))
      .pipe(aggregate(by))
      .to(intoArray(nothing)),
  )

const pipelines: Record<string, Pipeline> = {
  'with remove': over(
    fields({
      voters: count(),
      weight: sum((row: Total) => row.weight),
      distinct: countDistinct((row: Total) => row.n),
    }),
  ),
  'without remove': over(top(2, (row: Total) => row.weight)),
  collected: over(collect((row: Total) => row.n, { limit: 3 })),
  'keys that move': pipeline(
    'moving',
    latestVotes
      .pipe(keyBy((row) => row.n))
      .pipe(aggregate(fields({ rows: count(), best: top(1, (row) => row.weight) })))
      .to(intoArray(nothing)),
  ),
  filtered: pipeline(
    'filtered',
    latestVotes
      .pipe(filter((row) => row.n % 2 === 1))
      .pipe(keyBy((row) => row.candidate))
      .pipe(aggregate(count()))
      .to(intoArray(nothing)),
  ),
  flattened: pipeline(
    'flattened',
    latestVotes
      .pipe(flatMap((row) => Array.from({ length: row.n % 3 }, (_, i) => ({ ...row, i }))))
      .pipe(keyBy((row) => row.candidate))
      .pipe(aggregate(reduce2()))
      .to(intoArray(nothing)),
  ),
  'three levels': pipeline(
    'levels',
    latestVotes
      .pipe(keyBy((row) => row.candidate))
      .pipe(aggregate(count()))
      .pipe(keyBy((row) => row.value))
      .pipe(aggregate(count()))
      .to(intoArray(nothing)),
  ),
}

function reduce2(): Aggregate<{ weight: number }, number, number> {
  return { name: 'max', init: () => -1, add: (a, v) => Math.max(a, v.weight), merge: Math.max, finish: (a) => a }
}

describe('an aggregate over a table takes each row once, however often it changed', () => {
  for (const [name, pipe] of Object.entries(pipelines)) {
    it(name, () => {
      for (let seed = 0; seed < 40; seed++) {
        const random = new Random(seed)
        const input = Array.from({ length: 60 }, () => ({
          voter: `v${random.below(6)}`,
          candidate: random.pick(['a', 'b', '__proto__']),
          weight: random.below(100) / 10,
        }))
        const live = testDriver(pipe)
        for (const vote of input) {
          live.push(vote, { partition: `p${random.below(3)}` })
          if (random.chance(0.3)) live.advance('250ms')
        }
        live.end()
        expect(live.output(), `seed ${seed}`).toEqual(atOnce(pipe, input))
      }
    })
  }
})

describe('the rows of a table', () => {
  const hits = pipeline(
    'hits',
    from(memory<string>([]))
      .pipe(keyBy((page) => page))
      .pipe(aggregate(count()))
      .pipe(filter((row) => row.value < 3))
      .to(intoArray(nothing)),
  )

  it('come at a tick, once for each that changed, in the order of their keys', () => {
    const driver = testDriver(hits)
    for (const page of ['b', 'a', 'b']) driver.push(page)
    expect(driver.output()).toEqual([])
    driver.advance('249ms')
    expect(driver.output()).toEqual([])
    driver.advance('1ms')
    expect(driver.changes()).toEqual([
      { key: 'a', index: 0, value: { key: 'a', value: 1 } },
      { key: 'b', index: 0, value: { key: 'b', value: 2 } },
    ])
    driver.push('a')
    driver.advance('1s')
    expect(driver.changes()).toEqual([{ key: 'a', index: 0, value: { key: 'a', value: 2 } }])
  })

  it('are removed downstream when a filter turns false, and only if they were there', () => {
    const driver = testDriver(hits)
    for (const page of ['a', 'a', 'x', 'x', 'x']) driver.push(page)
    driver.tick()
    driver.push('a')
    driver.tick()
    expect(driver.changes()).toEqual([{ key: 'a', index: 0, value: undefined }])
    driver.end()
    expect(driver.output()).toEqual([])
  })

  it('are told apart by their index after a flatMap, and those that are gone are removed', () => {
    const countdown = pipeline(
      'countdown',
      from(memory<string>([]))
        .pipe(keyBy(() => 'all'))
        .pipe(aggregate(count()))
        .pipe(flatMap((row) => (row.value === 1 ? ['a', 'b', 'c'] : ['x'])))
        .to(intoArray(nothing)),
    )
    const driver = testDriver(countdown)
    driver.push('')
    driver.tick()
    expect(driver.output()).toEqual(['a', 'b', 'c'])
    driver.push('')
    driver.tick()
    expect(driver.changes()).toEqual([
      { key: 'all', index: 0, value: 'x' },
      { key: 'all', index: 1, value: undefined },
      { key: 'all', index: 2, value: undefined },
    ])
    expect(driver.output()).toEqual(['x'])
  })
})
