// Runs the same pipeline again and again, each time when it is told: two of these race for one task.
import { createInterface } from 'node:readline'
import { aggregate, count, execute, file, from, keyBy, pipeline, sqlite } from 'millrace'

let stop: AbortController | undefined
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'stop') {
    stop?.abort()
    continue
  }
  stop = new AbortController()
  const lines = from(file(`${line}/in`)).pipe(keyBy((text) => text))
  const race = pipeline(
    'race',
    lines.pipe(aggregate(count())).to(sqlite({ path: `${line}/out.sqlite`, table: 'lines' })),
  )
  let works = true
  execute(race, {
    checkpoint: `${line}/ck`,
    follow: true,
    tickMs: 1,
    signal: stop.signal,
    say: (text) => {
      if (!text.startsWith('standby: ')) return
      works = false
      console.log(text)
    },
  }).then(
    ({ read }) => console.log(`ended ${works ? 'owner' : 'standby'} ${read}`),
    (error) => console.log(`failed ${error.message}`),
  )
}
