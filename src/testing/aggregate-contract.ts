import { deepStrictEqual } from 'node:assert/strict'
import { type Aggregate, decodeAccumulator, encodeAccumulator } from '../core/aggregate.ts'
import type { ContractCase } from './contract.ts'
import { Random } from './random.ts'

export interface AggregateContractOptions<In> {
  /** Values to try it on: the more unlike each other, the better. */
  readonly values: readonly In[]
  /** Default 1. Printed where a law is broken. */
  readonly seed?: number
  /** How many random splits are tried. Default 50. */
  readonly rounds?: number
}

/**
 * The laws of an {@link Aggregate}, as cases for any test runner. Results are compared as values of `finish`, for two accumulators may
 * mean the same and look different; every accumulator goes through its JSON text on the way, as between mapper and reducer.
 *
 * @example
 * ```ts no-run
 * for (const { title, run } of aggregateContract(count(), { values: [1, 2, 3] })) test(title, run)
 * ```
 */
export function aggregateContract<In, Acc, Out>(
  aggregate: Aggregate<In, Acc, Out>,
  { values, seed = 1, rounds = 50 }: AggregateContractOptions<In>,
): readonly ContractCase[] {
  const { name } = aggregate
  const wired = (accumulator: Acc): Acc =>
    decodeAccumulator(aggregate, encodeAccumulator(aggregate, accumulator)) as Acc
  const of = (some: readonly In[]): Acc =>
    some.reduce((accumulator, value) => aggregate.add(accumulator, value), aggregate.init())
  const same = (left: Acc, right: Acc, why: string): void => {
    deepStrictEqual(aggregate.finish(left), aggregate.finish(right), `${name}: ${why}`)
  }
  const randomly = (check: (random: Random) => void): void => {
    for (let round = 0; round < rounds; round++) {
      const random = new Random(seed * 1000 + round)
      try {
        check(random)
      } catch (error) {
        throw new Error(`seed ${seed}, round ${round}`, { cause: error })
      }
    }
  }
  const cases: ContractCase[] = [
    {
      title: `${name}: an accumulator that went through its JSON text gives the same result`,
      run: () => {
        for (let n = 0; n <= values.length; n++)
          same(wired(of(values.slice(0, n))), of(values.slice(0, n)), 'the JSON text loses something')
      },
    },
    {
      title: `${name}: the result is a JSON value, the same with both engines`,
      run: () => {
        const out = aggregate.finish(of(values))
        deepStrictEqual(
          JSON.parse(JSON.stringify(out) ?? 'null'),
          JSON.parse(JSON.stringify(aggregate.finish(wired(of(values)))) ?? 'null'),
        )
      },
    },
    {
      title: `${name}: init() is neutral on both sides`,
      run: () => {
        same(aggregate.merge(aggregate.init(), of(values)), of(values), 'merge(init(), a) is not a')
        same(aggregate.merge(of(values), aggregate.init()), of(values), 'merge(a, init()) is not a')
      },
    },
    {
      title: `${name}: add is a merge with what one value gives`,
      run: () => {
        for (const [i, value] of values.entries()) {
          const before = values.slice(0, i)
          same(
            aggregate.add(of(before), value),
            aggregate.merge(of(before), aggregate.add(aggregate.init(), value)),
            `add of value ${i}`,
          )
        }
      },
    },
    {
      title: `${name}: any order of the values gives the same`,
      run: () => randomly((random) => same(of(random.shuffle(values)), of(values), 'the order matters')),
    },
    {
      title: `${name}: any split, merged in any order and grouping, gives the same`,
      run: () =>
        randomly((random) => {
          let parts = random.split(random.shuffle(values), 1 + random.below(5)).map((part) => wired(of(part)))
          while (parts.length > 1) {
            const i = random.below(parts.length - 1)
            const [left, right] = random.chance(0.5) ? [parts[i], parts[i + 1]] : [parts[i + 1], parts[i]]
            parts = [...parts.slice(0, i), wired(aggregate.merge(left as Acc, right as Acc)), ...parts.slice(i + 2)]
          }
          same(parts[0] as Acc, of(values), 'the split matters')
        }),
    },
    {
      title: `${name}: merge leaves the right accumulator alone, and shares nothing with it`,
      run: () => {
        const half = Math.ceil(values.length / 2)
        const right = of(values.slice(half))
        const before = encodeAccumulator(aggregate, right)
        const merged = aggregate.merge(of(values.slice(0, half)), right)
        for (const value of values) aggregate.add(merged, value)
        deepStrictEqual(encodeAccumulator(aggregate, right), before, `${name}: merge has changed its right argument`)
        const intoNothing = aggregate.merge(aggregate.init(), right)
        for (const value of values) aggregate.add(intoNothing, value)
        deepStrictEqual(
          encodeAccumulator(aggregate, right),
          before,
          `${name}: what merge gave shares with its right argument`,
        )
      },
    },
    {
      title: `${name}: finish changes nothing`,
      run: () => {
        const accumulator = of(values)
        const before = encodeAccumulator(aggregate, accumulator)
        aggregate.finish(accumulator)
        deepStrictEqual(encodeAccumulator(aggregate, accumulator), before)
      },
    },
  ]
  const { remove } = aggregate
  if (remove !== undefined) {
    cases.push({
      title: `${name}: remove takes back what add did`,
      run: () =>
        randomly((random) => {
          const [kept = [], gone = []] = random.split(random.shuffle(values), 2)
          const all = of(random.shuffle([...kept, ...gone]))
          const left = gone.reduce((accumulator, value) => remove(accumulator, value), all)
          same(wired(left), of(kept), 'remove leaves something')
        }),
    })
  }
  return cases
}
