// What one checkpoint costs, and for how long it holds the stream back. Prints one line of JSON.
//   node bench/checkpoint-cost.ts HELD CHANGED SECONDS
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { aggregate, count, execute, from, keyBy, pipeline, type Source, sqlite } from '../src/index.ts'

const [held = 10_000, changed = 1000, seconds = 10] = process.argv.slice(2).map(Number)
const TURN_MS = 10
const INTERVAL_MS = 250
/** How late each turn of the source was: what the stream was held back. */
const late: number[] = []
let loaded = 0
let lastBegun = 0
let lastMs = 0

/** First every key once, then so many other keys for each checkpoint, evenly, in turns of ten milliseconds. */
const source: Source<string> = {
  source: {
    kind: 'paced',
    label: 'paced keys',
    bounded: true,
    textLines: false,
    resumable: true,
    open: async ({ name }) => {
      let position = 0
      const batch = (values: readonly string[]) => ({
        kind: 'values' as const,
        source: name,
        partition: 'p',
        values,
        positionOf: () => undefined,
        resume: { partition: 'p', position: (position += values.length) },
      })
      return {
        stop: () => {},
        async *[Symbol.asyncIterator]() {
          for (let i = 0; i < held; i += 1000)
            yield batch(Array.from({ length: Math.min(1000, held - i) }, (_, j) => `visitor-${i + j}`))
          // Until they are all in checkpoints: then one comes that has nothing to write, as a sign of life.
          const given = performance.now()
          while (lastBegun < given || lastMs > 100) await sleep(50)
          await sleep(1000)
          loaded = performance.now()
          const perTurn = Math.round((changed * TURN_MS) / INTERVAL_MS)
          let next = 0
          for (let due = performance.now(); due < loaded + seconds * 1000; due += TURN_MS) {
            const wait = due - performance.now()
            if (wait > 0) await sleep(wait)
            late.push(Math.max(0, performance.now() - due))
            // One that was held back long is late once, not for each turn since.
            due = Math.max(due, performance.now() - TURN_MS)
            yield batch(Array.from({ length: perTurn }, () => `visitor-${(next = (next + 7919) % held)}`))
          }
        },
      }
    },
  },
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const took: number[] = []
const held_ = pipeline(
  'held',
  from(source)
    .pipe(keyBy((key) => key))
    .pipe(aggregate(count()))
    .to(sqlite({ path: join(folder, 'out.sqlite'), table: 'keys' })),
)
await execute(held_, {
  checkpoint: join(folder, 'ck'),
  onCheckpoint: ({ ms }) => {
    lastBegun = performance.now() - ms
    lastMs = ms
    if (loaded > 0 && lastBegun > loaded) took.push(ms)
  },
})
rmSync(folder, { recursive: true })

const at = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2))
}
console.log(
  JSON.stringify({
    held,
    changed,
    checkpoints: took.length,
    medianMs: at(took, 0.5),
    p99PauseMs: at(late, 0.99),
    longestPauseMs: at(late, 1),
  }),
)
