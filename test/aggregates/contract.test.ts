import { readdirSync } from 'node:fs'
import type { Aggregate } from 'millrace'
import {
  collect,
  count,
  countDistinct,
  earliest,
  fields,
  latest,
  max,
  maxBy,
  mean,
  min,
  minBy,
  sum,
  top,
} from 'millrace'
import { aggregateContract } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../support/program.ts'

interface Visit {
  readonly id: string
  readonly n: number
  readonly at?: number
}

// Ties, equal values, missing times, numbers whose sum depends on the order when it is rounded, astral and hostile texts.
const visits: readonly Visit[] = [
  { id: 'a', n: 0.1, at: 5 },
  { id: 'b', n: 0.2, at: 5 },
  { id: 'a', n: 0.3 },
  { id: '__proto__', n: 1e17, at: 7 },
  { id: '\u{1f600}', n: -1e17, at: 7 },
  { id: '\ufb01', n: 1, at: 7 },
  { id: 'a!', n: 1e-9, at: 1.5 },
  { id: 'a', n: 1, at: -3 },
  { id: '\ud800', n: 3, at: 0 },
  { id: 'a', n: 0.1, at: 5 },
]

// biome-ignore lint/suspicious/noExplicitAny: a list of aggregates of all kinds.
const aggregates: Record<string, Aggregate<Visit, any, unknown>> = {
  count: count(),
  sum: sum((visit) => visit.n),
  mean: mean((visit) => visit.n),
  min: min((visit) => visit.n),
  max: max((visit) => visit.n),
  'min-by': minBy((visit) => visit.n),
  'max-by': maxBy((visit) => visit.n),
  earliest: earliest((visit) => visit.id, { by: (visit) => visit.at }),
  latest: latest((visit) => visit.id, { by: (visit) => visit.at }),
  top: top(3, (visit) => visit.n),
  collect: collect((visit) => visit.id, { limit: 4 }),
  'count-distinct': countDistinct((visit) => visit.id),
  fields: fields({
    one: count(),
    two: latest((visit: Visit) => visit.id, { by: (visit) => visit.at }),
    three: countDistinct((visit: Visit) => visit.id),
    four: mean((visit: Visit) => visit.n),
    five: top(2, (visit: Visit) => visit.n),
  }),
}

for (const [name, aggregate] of Object.entries(aggregates)) {
  describe(`aggregate ${name}`, () => {
    for (const { title, run } of aggregateContract(aggregate, { values: visits })) it(title, run)
  })
}

describe('the contract', () => {
  const broken = (part: Partial<Aggregate<number, unknown, unknown>>): Aggregate<number, never, unknown> =>
    ({
      name: 'broken',
      init: () => 0,
      add: (a: number, v: number) => a + v,
      merge: (a: number, b: number) => a + b,
      finish: (a: number) => a,
      ...part,
    }) as never
  const caught = async (aggregate: Aggregate<number, never, unknown>): Promise<string[]> => {
    const titles: string[] = []
    for (const { title, run } of aggregateContract(aggregate, { values: [1, 2, 3, 4] })) {
      try {
        await run()
      } catch {
        titles.push(title)
      }
    }
    return titles
  }

  it('finds nothing in a right one', async () => expect(await caught(broken({}))).toEqual([]))
  it('catches an order', async () =>
    expect(
      await caught(broken({ add: (_: unknown, v: number) => v, merge: (_: unknown, b: unknown) => b })),
    ).not.toEqual([]))
  it('catches what JSON loses', async () => {
    const dates = broken({
      init: () => new Date(0),
      add: (a: unknown, v: number) => new Date(Number(a) + v),
      merge: (a: unknown, b: unknown) => new Date(Number(a) + Number(b)),
      finish: (a: unknown) => (a as Date).getTime(),
    })
    expect(await caught(dates)).toContain(
      'broken: an accumulator that went through its JSON text gives the same result',
    )
  })
  it('catches a merge that keeps its right argument', async () => {
    const sharing = broken({
      init: () => [] as number[],
      add: (a: unknown, v: number) => {
        ;(a as number[]).push(v)
        return a
      },
      merge: (a: unknown, b: unknown) => ((a as number[]).length === 0 ? b : [...(a as number[]), ...(b as number[])]),
      finish: (a: unknown) => [...(a as number[])].sort(),
    })
    expect(await caught(sharing)).toEqual([
      'broken: merge leaves the right accumulator alone, and shares nothing with it',
    ])
  })
  it('catches a mean that is no aggregate', async () => {
    const means = broken({
      init: () => null,
      add: (a: unknown, v: number) => (a === null ? v : ((a as number) + v) / 2),
      merge: (a: unknown, b: unknown) => (a === null ? b : b === null ? a : ((a as number) + (b as number)) / 2),
    })
    expect(await caught(means)).not.toEqual([])
  })
})

it('every aggregate has a contract here', () => {
  const parts = ['bounded-list', 'exact-sum', 'extremes', 'picked']
  const files = readdirSync(`${ROOT}/src/aggregates`).map((file) => file.replace('.ts', ''))
  expect(files.filter((file) => !parts.includes(file)).sort()).toEqual(Object.keys(aggregates).sort())
})
