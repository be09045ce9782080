// `npm run soak -- --minutes 30 [--seed N] [--live | --hdfs]`: kills a run with checkpoints at random instants until the time is over, and compares all that its
// sinks hold with an uninterrupted run, row by row and byte by byte. Ends with `N passed, N failed`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { type FaultPlan, killAtRandom, PLANS, runAndKill } from '../test/checkpoints/fault-runs.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    seed: { type: 'string' },
    live: { type: 'boolean' },
    hdfs: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})
if (values.help === true) {
  process.stdout.write(
    'Usage: npm run soak -- [--minutes N] [--seed N] [--live | --hdfs]\n\n--live: on real Kafka and MongoDB, which are killed too\n--hdfs: on a real HDFS, whose daemons are killed too\n',
  )
  process.exit(0)
}
const until = Date.now() + Number(values.minutes ?? 5) * 60_000
const CLICKS = 100_000
let seed = Number(values.seed ?? 1)
let [passed, failed, kills] = [0, 0, 0]

async function within<T>(plan: FaultPlan, run: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-'))
  try {
    plan.make(folder, CLICKS, seed)
    return await run(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (values.live === true) {
  const { soakLive } = await import('../test/services/live-soak.ts')
  ;[passed, failed] = await soakLive(until, seed, (line) => process.stdout.write(`${line}\n`))
}
if (values.hdfs === true) {
  const { soakHdfs } = await import('../test/services/hdfs-soak.ts')
  ;[passed, failed] = await soakHdfs(until, seed, (line) => process.stdout.write(`${line}\n`))
}
for (; values.live !== true && values.hdfs !== true && Date.now() < until; seed++) {
  for (const plan of PLANS) {
    const expected = await within(plan, async (folder) => {
      await runAndKill(plan, folder, undefined)
      return plan.held(folder)
    })
    const got = await within(plan, (folder) => killAtRandom(plan, folder, seed, 25))
    const same = isDeepStrictEqual(got.held, expected) && got.temporaries.length === 0
    kills += got.kills
    if (same) passed++
    else failed++
    process.stdout.write(
      `seed ${seed}: ${got.kills} kills, ${same ? 'the same' : 'DIFFERENT'} (${kills} in all): ${plan.name}\n`,
    )
  }
}
process.stdout.write(`${passed} passed, ${failed} failed\n`)
if (failed > 0) process.exitCode = 1
