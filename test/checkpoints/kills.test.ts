import { rmSync } from 'node:fs'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/program.ts'
import { killAtRandom, PLANS, runAndKill } from './fault-runs.ts'

const SEEDS = 6
const ROUNDS = 27

it.each(PLANS)(
  'killed at random instants, again and again: $name',
  async (plan) => {
    let kills = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const folders = [temporaryFolder(), temporaryFolder()] as const
      for (const folder of folders) plan.make(folder, 50_000, seed)
      await runAndKill(plan, folders[0], undefined)
      const got = await killAtRandom(plan, folders[1], seed, ROUNDS)
      expect(got.held, `seed ${seed}`).toEqual(plan.held(folders[0]))
      expect(got.temporaries, `seed ${seed}`).toEqual([])
      kills += got.kills
      for (const folder of folders) rmSync(folder, { recursive: true })
    }
    // Most rounds end in a kill; some runs are through before.
    expect(kills).toBeGreaterThan((SEEDS * ROUNDS) / 2)
  },
  300_000,
)
