// `npm run soak -- --minutes 30 [--seed N]`: kills a run with checkpoints at random instants until the time is over, and compares all that its
// sinks hold with an uninterrupted run, row by row. Ends with `N passed, N failed`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { clicksIn, killAtRandom, runAndKill, tablesOf } from '../test/checkpoints/fault-runs.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string' }, seed: { type: 'string' }, help: { type: 'boolean' } },
})
if (values.help === true) {
  process.stdout.write('Usage: npm run soak -- [--minutes N] [--seed N]\n')
  process.exit(0)
}
const until = Date.now() + Number(values.minutes ?? 5) * 60_000
const CLICKS = 200_000
let seed = Number(values.seed ?? 1)
let [passed, failed, kills] = [0, 0, 0]

async function within<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-'))
  try {
    clicksIn(folder, CLICKS, seed)
    return await run(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

for (; Date.now() < until; seed++) {
  const expected = await within(async (folder) => {
    await runAndKill(folder, undefined)
    return tablesOf(join(folder, 'out.sqlite'))
  })
  const got = await within((folder) => killAtRandom(folder, seed, 25))
  const same = isDeepStrictEqual(got.tables, expected) && got.temporaries.length === 0
  kills += got.kills
  if (same) passed++
  else failed++
  process.stdout.write(`seed ${seed}: ${got.kills} kills, ${same ? 'the same' : 'DIFFERENT'} (${kills} kills in all)\n`)
}
process.stdout.write(`${passed} passed, ${failed} failed\n`)
if (failed > 0) process.exitCode = 1
