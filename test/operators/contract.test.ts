import { readdirSync } from 'node:fs'
import { Transform } from 'node:stream'
import {
  aggregate,
  count,
  filter,
  flatMap,
  formatJson,
  formatTsv,
  keyBy,
  lines,
  map,
  mapAsync,
  operator,
  parseJson,
  reduce,
  stateful,
  tap,
  through,
  validate,
} from 'millrace'
import { type OperatorContractOptions, operatorContract } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../support/program.ts'

const numbers = [1, 2, 3, 4, 5]
const keyed = [
  { key: 'b', value: 1 },
  { key: '__proto__', value: 2 },
  { key: 'b', value: 3 },
]

const odd = {
  '~standard': {
    version: 1,
    vendor: 'odd',
    validate: (value: unknown) => (Number(value) % 2 === 1 ? { value } : { issues: [{ message: 'even' }] }),
  },
} as const

const contracts: Record<string, OperatorContractOptions<never, unknown>> = Object.fromEntries(
  [
    { name: 'map', make: () => map((n: number) => n * 2), input: numbers, expected: [2, 4, 6, 8, 10] },
    { name: 'filter', make: () => filter((n: number) => n % 2 === 1), input: numbers, expected: [1, 3, 5] },
    {
      name: 'flat-map',
      make: () => flatMap((n: number) => Array(n % 3).fill(n)),
      input: numbers,
      expected: [1, 2, 2, 4, 5, 5],
    },
    { name: 'tap', make: () => tap(() => {}), input: numbers, expected: numbers },
    {
      name: 'key-by',
      make: () => keyBy((n: number) => n % 2),
      input: numbers,
      expected: numbers.map((value) => ({ key: value % 2, value })),
    },
    {
      name: 'parse-json',
      make: () => parseJson(),
      input: ['{"a":1}', 'oops', '[2]', 'null', '"x"'],
      expected: [{ a: 1 }, [2], 'x'],
    },
    {
      name: 'format-json',
      make: () => formatJson(),
      input: [{ a: 1 }, [2], 'x'],
      expected: ['{"a":1}\n', '[2]\n', '"x"\n'],
    },
    {
      name: 'format-tsv',
      make: () => formatTsv(),
      input: [{ a: 1, b: 'x\ty' }, [2, null, 'z'], 'p\\q'],
      expected: ['1\tx\\ty\n', '2\t\tz\n', 'p\\\\q\n'],
    },
    { name: 'lines', make: () => lines(), input: ['a\r\nb', 'c\n\n', ' \t\nd'], expected: ['a', 'bc', 'd'] },
    { name: 'validate', make: () => validate(odd, { onError: 'skip' }), input: numbers, expected: [1, 3, 5] },
    {
      name: 'operator',
      make: () =>
        operator<number, number>({
          open: (emit) => {
            let sum = 0
            return {
              process: (n) => {
                sum += n
                if (n % 2 === 0) emit(sum)
              },
              flush: () => {
                if (sum > 0) emit(-sum)
              },
            }
          },
        }),
      input: numbers,
      expected: [3, 10, -15],
    },
    {
      name: 'aggregate',
      make: () => aggregate(count()),
      input: keyed,
      expected: [
        { key: '__proto__', value: 1 },
        { key: 'b', value: 2 },
      ],
    },
    {
      name: 'reduce',
      make: () => reduce((a: number, b: number) => a + b),
      input: keyed,
      expected: [
        { key: '__proto__', value: 2 },
        { key: 'b', value: 4 },
      ],
    },
    {
      name: 'stateful',
      make: () =>
        stateful<string, number, number>({
          open: (emit, context) => {
            const sum = context.state<number>('sum')
            return {
              process: ({ value }) => {
                sum.set((sum.get() ?? 0) + value)
                emit(sum.get() as number)
              },
            }
          },
        }),
      input: keyed,
      expected: [1, 2, 4],
    },
    {
      name: 'map-async',
      make: () => mapAsync(async (n: number) => n + 1, { concurrency: 2 }),
      input: numbers,
      expected: [2, 3, 4, 5, 6],
    },
    {
      name: 'through',
      make: () =>
        through<number, number>(
          () => new Transform({ objectMode: true, transform: (n: number, _encoding, done) => done(null, n * 10) }),
        ),
      input: numbers,
      expected: [10, 20, 30, 40, 50],
    },
  ].map((contract) => [contract.name, contract as unknown as OperatorContractOptions<never, unknown>]),
)

for (const [name, options] of Object.entries(contracts)) {
  describe(`operator ${name}`, () => {
    for (const { title, run } of operatorContract(options)) {
      // The cases of an operator by key need keys before it in a pipeline.
      const byKey = ['aggregate', 'reduce', 'stateful'].includes(name)
      if (byKey && !/plain|destroyed|label|one value\b/.test(title.replace('and in a pipeline', 'pipeline'))) continue
      if (byKey && /pipeline|takes one/.test(title)) continue
      it(title, run)
    }
  })
}

it('every operator has a contract here', () => {
  const files = ['src/operators', 'src/operators/boundaries']
    .flatMap((folder) => readdirSync(`${ROOT}/${folder}`))
    .filter((file) => file.endsWith('.ts'))
  expect(files.map((file) => file.replace('.ts', '')).sort()).toEqual(Object.keys(contracts).sort())
})
