// A sink a hundred times slower than its source: memory must stay flat. Prints the peak, at a quarter of the input and at its end.
import { setTimeout as sleep } from 'node:timers/promises'
import { clicks, execute, from, parseJson, pipeline, type Sink } from '../src/index.ts'

const RECORDS = Number(process.argv[2] ?? 400_000)
let taken = 0
let quarter = 0
const slow: Sink<unknown> = {
  sink: {
    kind: 'slow',
    label: 'slow',
    open: async () => ({
      write: async (output) => {
        if (output.kind === 'events') taken += output.values.length
        if (quarter === 0 && taken >= RECORDS / 4) quarter = process.memoryUsage().rss
        // A batch of 1024 takes the source about half a millisecond.
        await sleep(50)
      },
      close: async () => {},
      abort: async () => {},
    }),
  },
}
await execute(
  pipeline(
    'slow',
    from(clicks({ count: RECORDS }))
      .pipe(parseJson())
      .to(slow),
  ),
)
console.log(
  JSON.stringify({
    records: taken,
    quarterMB: Math.round(quarter / 2 ** 20),
    endMB: Math.round(process.memoryUsage().rss / 2 ** 20),
    peakMB: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
)
