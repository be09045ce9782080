// What a fused trivial operator costs a record: prints nanoseconds for 1, 5 and 20 of them.
import { execute, from, map, memory, pipeline, type Sink } from '../src/index.ts'

const RECORDS = 2_000_000
const numbers = Array.from({ length: RECORDS }, (_, i) => i)
let checksum = 0
const counting: Sink<number> = {
  sink: {
    kind: 'counting',
    label: 'counting',
    open: async () => ({
      write: (output) => {
        if (output.kind === 'events') for (const value of output.values) checksum += value as number
      },
      close: async () => {},
      abort: async () => {},
    }),
  },
}

// Written out, not made in a loop from one function: the operators of a real pipeline have functions of their own.
const ADD = [
  (n: number) => n + 1,
  (n: number) => n + 2,
  (n: number) => n + 3,
  (n: number) => n + 4,
  (n: number) => n + 5,
  (n: number) => n - 1,
  (n: number) => n - 2,
  (n: number) => n - 3,
  (n: number) => n - 4,
  (n: number) => n - 5,
  (n: number) => n ^ 1,
  (n: number) => n ^ 2,
  (n: number) => n ^ 3,
  (n: number) => n ^ 4,
  (n: number) => n ^ 5,
  (n: number) => n | 0,
  (n: number) => n & 0xffffff,
  (n: number) => n + 7,
  (n: number) => n - 7,
  (n: number) => n ^ 7,
]

async function secondsOf(operators: number): Promise<number> {
  let stream = from(memory(numbers))
  for (const fn of ADD.slice(0, operators)) stream = stream.pipe(map(fn))
  const started = performance.now()
  await execute(pipeline('cost', stream.to(counting)))
  return (performance.now() - started) / 1000
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number
const sizes = [0, 1, 5, 20]
const seconds = new Map<number, number[]>(sizes.map((size) => [size, []]))
for (let round = 0; round < 7; round++) for (const size of sizes) seconds.get(size)?.push(await secondsOf(size))
const medians = sizes.map((size) => median(seconds.get(size) as number[]))
const base = medians[0] as number
console.log(
  JSON.stringify({
    records: RECORDS,
    nsPerRecord: Object.fromEntries(sizes.map((size, i) => [size, ((medians[i] as number) / RECORDS) * 1e9])),
    nsPerOperator: Object.fromEntries(
      sizes.slice(1).map((size, i) => [size, (((medians[i + 1] as number) - base) / RECORDS / size) * 1e9]),
    ),
    checksum: checksum !== 0,
  }),
)
