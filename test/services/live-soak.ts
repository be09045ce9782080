import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Random } from 'millrace/testing'
import { LiveServers } from './live-runs.ts'

const PLAN = join(import.meta.dirname, 'live-plan.ts')

/** Rounds of kills on real servers until the time is over: the pipeline, the broker, mongod. Returns how many rounds held, and how many did not. */
export async function soakLive(
  until: number,
  firstSeed: number,
  say: (line: string) => void,
): Promise<[passed: number, failed: number]> {
  const servers = await new LiveServers().start()
  let [passed, failed] = [0, 0]
  try {
    for (let seed = firstSeed; Date.now() < until; seed++) {
      const random = new Random(seed)
      const live = await servers.make()
      let kills = 0
      const run = async (afterMs: number | undefined): Promise<void> => {
        const args = [PLAN, 'run', '--quiet', '--until-end', '--tick', '20ms']
        const child = spawn(process.execPath, args, {
          env: { ...process.env, ...live.env },
          stdio: ['ignore', 'ignore', 'inherit'],
        })
        const timer = afterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), afterMs)
        await new Promise((resolve) => child.on('close', resolve))
        clearTimeout(timer)
        if (child.signalCode === 'SIGKILL') kills++
      }
      for (let i = 0; i < 8; i++) {
        await live.produce(300)
        const running = run(300 + random.below(2000))
        const what = random.below(6)
        await sleep(random.below(800))
        if (what === 0) {
          await servers.kafka.killBroker(0)
          await servers.kafka.startBroker(0)
        } else if (what === 1) {
          await servers.mongo.kill()
          await servers.mongo.start()
        }
        await running
      }
      await run(undefined)
      const same = isDeepStrictEqual(await live.held(), live.expected())
      if (same) passed++
      else failed++
      say(`seed ${seed}: ${kills} kills of the pipeline, ${same ? 'the same' : 'DIFFERENT'}`)
    }
  } finally {
    await servers.stop()
  }
  return [passed, failed]
}
