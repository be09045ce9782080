import { setTimeout as sleep } from 'node:timers/promises'
import { aggregate, count, from, keyBy, memory, pipeline, stdout } from 'millrace'
import { expect, it } from 'vitest'
import { openDirectoryStore } from '../../src/checkpoints/directory.ts'
import { CheckpointLog } from '../../src/checkpoints/log.ts'
import type { CheckpointStore } from '../../src/checkpoints/store.ts'
import { Execution } from '../../src/runtime/execution.ts'
import { Task } from '../../src/runtime/task.ts'
import { temporaryFolder } from '../support/program.ts'

const { plan } = pipeline(
  'loading',
  from(memory(['a']))
    .pipe(keyBy((word) => word))
    .pipe(aggregate(count(), { name: 'words' }))
    .to(stdout()),
)
const execution = (): Execution => new Execution(plan, { live: true, wantsLineage: () => false })

/** As one of another continent would be. */
function slow(store: CheckpointStore, ms: number): CheckpointStore {
  return {
    ...store,
    read: async (name) => {
      if (name.startsWith('part-')) await sleep(ms)
      return store.read(name)
    },
  }
}

it('an owner that loads a state for long shows that it lives, so that no other takes it for dead', async () => {
  const folder = temporaryFolder()
  const options = { plan, sinks: new Map(), say: () => {} }
  const first = (await Task.start({ ...options, log: new CheckpointLog(await openDirectoryStore(folder)) })) as Task
  const writing = execution()
  for (let part = 0; part < 4; part++) {
    writing.restore([['words', { key: `word ${part}`, accumulator: '1', sent: [] }]])
    for (const table of writing.tables) table.touchAll()
    await first.checkpoint(writing, () => {
      writing.tick()
      return {}
    })
  }
  await first.close()
  expect(first.head.state.length).toBe(4)

  const store = await openDirectoryStore(folder)
  const second = (await Task.start({ ...options, log: new CheckpointLog(slow(store, 1500)), takeOver: true })) as Task
  const taken = second.head.version.number
  const others = new CheckpointLog(store)
  const loaded = second.load(execution())
  await sleep(5500)
  const { version, owner, state } = (await others.last())!
  expect(version.number).toBe(taken + 1)
  expect([owner.name, state]).toEqual([second.head.owner.name, first.head.state])
  expect(await loaded).toBe(4)
  // Who was taken over is fenced by it as by any other head.
  await expect(first.checkpoint(writing, () => ({}), { force: true })).rejects.toMatchObject({ code: 'MLR_ERR_FENCED' })
  await second.close()
})
