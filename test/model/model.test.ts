import { describe, expect, it } from 'vitest'
import { ROOT, shell } from '../support/program.ts'

/** The verdicts that stand in the model's README. A rule of `checkpoints/log.ts` or `runtime/task.ts` changes only after its model has. */
const VERDICTS: Record<string, readonly string[]> = {
  logstore: [
    'HOLDS numbers never deleted, no check',
    'HOLDS old numbers deleted, check by list',
    'HOLDS same, deleted in any order',
    'HOLDS same, only the head kept',
    'BROKEN check of the predecessor, ascending, number 1 kept for ever',
    'HOLDS segments: the head names its parts, deleted after the next head; check by list',
    'HOLDS same, 2 incarnations, longer',
    'BROKEN same, predecessor check, number 1 kept',
    'BROKEN old numbers deleted, no check (design as read), no retries',
    'BROKEN old numbers deleted, no check (design as read), with retries',
    'BROKEN predecessor check, number 1 deleted as well',
    'BROKEN predecessor check, number 1 kept, but deleted in any order',
    'BROKEN predecessor check, only the head kept',
    'BROKEN merged parts deleted before a head that does not name them',
  ],
}

describe('the protocol as a model checker sees it', () => {
  it.each(Object.entries(VERDICTS))('%s: what must hold holds, and each known bug is found', async (name, verdicts) => {
    const out = await shell(`python3 ${name}.py`, { cwd: `${ROOT}/test/model` })
    const found = [...out.stdout.matchAll(/^(HOLDS|BROKEN)\s+\w+: (.*?) {2}\[/gm)].map(
      ([, verdict, what]) => `${verdict} ${what}`,
    )
    expect(found, out.stderr).toEqual(verdicts)
  })
})
