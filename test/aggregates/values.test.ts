import {
  type Aggregate,
  collect,
  countDistinct,
  earliest,
  fields,
  latest,
  maxBy,
  mean,
  minBy,
  sum,
  top,
} from 'millrace'
import { Random } from 'millrace/testing'
import { describe, expect, it } from 'vitest'

const of = <In, Acc, Out>(aggregate: Aggregate<In, Acc, Out>, values: readonly In[]): Out =>
  aggregate.finish(values.reduce((accumulator, value) => aggregate.add(accumulator, value), aggregate.init()))

describe('sum', () => {
  const total = sum((n: number) => n)

  it('is exact before one last rounding', () => {
    expect(of(total, Array(10).fill(0.1))).toBe(1)
    expect(of(total, [1e100, 1, -1e100])).toBe(1)
    expect(of(total, [1e16, 1, 1e-16])).toBe(10000000000000002)
    expect(of(total, [2 ** 53, 1, 1])).toBe(2 ** 53 + 2)
    expect(of(total, [])).toBe(0)
    expect(Object.is(of(total, [-0, -0]), 0)).toBe(true)
  })

  it('equals the sum in exact integers, whatever the order', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = new Random(seed)
      // Multiples of 2^-40 up to 2^60: exact as BigInt.
      const whole = Array.from({ length: 30 }, () => BigInt(random.below(2 ** 31)) << BigInt(random.below(70)))
      const values = whole.map((n, i) => (Number(n) / 2 ** 40) * (i % 3 === 0 ? -1 : 1))
      const exact = whole.reduce((all, n, i) => all + (i % 3 === 0 ? -n : n), 0n)
      expect(of(total, random.shuffle(values)), `seed ${seed}`).toBe(Number(exact) / 2 ** 40)
    }
  })

  it('refuses what is no finite number, and says what it got', () => {
    expect(() => of(total, [Number.NaN])).toThrow('sum takes a finite number of at most ±1e+300; got number NaN')
    expect(() => of(total, [undefined as never])).toThrow('got undefined')
    expect(() => of(total, ['1' as never])).toThrow('got string "1"')
    expect(() => of(total, [1e301])).toThrow('finite number')
  })
})

describe('latest and earliest', () => {
  const last = latest((v: [number | undefined, string]) => v[1], { by: (v) => v[0] })
  const first = earliest((v: [number | undefined, string]) => v[1], { by: (v) => v[0] })

  it('go by time', () => {
    expect(
      of(last, [
        [1, 'a'],
        [3, 'c'],
        [2, 'b'],
      ]),
    ).toBe('c')
    expect(
      of(first, [
        [2, 'b'],
        [1, 'a'],
        [3, 'c'],
      ]),
    ).toBe('a')
  })

  it('count a value without a time as older, or later, than any with one', () => {
    expect(
      of(last, [
        [undefined, 'z'],
        [-5, 'a'],
        [undefined, 'zz'],
      ]),
    ).toBe('a')
    expect(
      of(first, [
        [undefined, 'z'],
        [99, 'a'],
      ]),
    ).toBe('a')
  })

  it('break ties by the bytes of the canonical text, in which a quote ends a string', () => {
    // As JSON text: "a" and "a!"; the quote (0x22) is greater than the exclamation mark (0x21).
    expect(
      of(last, [
        [1, 'a!'],
        [1, 'a'],
      ]),
    ).toBe('a')
    expect(
      of(last, [
        [1, 'a'],
        [1, 'a!'],
      ]),
    ).toBe('a')
    expect(
      of(last, [
        [1, 'ab'],
        [1, 'a'],
      ]),
    ).toBe('ab')
    // UTF-16 would put the astral character first.
    expect(
      of(last, [
        [1, '\u{1f600}'],
        [1, '\uffee'],
      ]),
    ).toBe('\u{1f600}')
  })
})

it('mean, minBy, maxBy, countDistinct give what they say', () => {
  expect(
    of(
      mean((n: number) => n),
      [1, 2, 6],
    ),
  ).toBe(3)
  expect(
    of(
      minBy((v: { n: number }) => v.n),
      [{ n: 2 }, { n: 1 }],
    ),
  ).toEqual({ n: 1 })
  expect(
    of(
      maxBy((v: { n: number }) => v.n),
      [{ n: 2 }, { n: 1 }],
    ),
  ).toEqual({ n: 2 })
  expect(
    of(
      countDistinct((v: unknown) => v),
      ['10', 10, '10', true, null, { b: 1, a: 2 }, { a: 2, b: 1 }],
    ),
  ).toBe(5)
})

it('top keeps the greatest, equal ones in the order of their canonical texts, greatest first', () => {
  const best = top(2, (v: { n: number; id: string }) => v.n)
  expect(
    of(best, [
      { n: 1, id: 'x' },
      { n: 5, id: 'a' },
      { n: 5, id: 'b' },
      { n: 5, id: 'c' },
    ]),
  ).toEqual([
    { n: 5, id: 'c' },
    { n: 5, id: 'b' },
  ])
  expect(() => top(0, () => 1)).toThrow('at least 1')
})

it('collect keeps the first of its limit in canonical order', () => {
  expect(
    of(
      collect((v: unknown) => v, { limit: 3 }),
      ['b', 'a', 'c', 'a'],
    ),
  ).toEqual(['a', 'a', 'b'])
})

it('fields gives an object of all, with hostile names too', () => {
  const shape = Object.fromEntries([
    ['__proto__', sum((n: number) => n)],
    ['b', sum((n: number) => n)],
  ])
  const out = of(fields(shape as never) as Aggregate<number, unknown, object>, [1, 2])
  expect(JSON.stringify(out)).toBe('{"__proto__":3,"b":3}')
})
