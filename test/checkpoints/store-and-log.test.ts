import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storeContract } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { encodeHead, type Head, headName } from '../../src/checkpoints/checkpoint.ts'
import { openDirectoryStore } from '../../src/checkpoints/directory.ts'
import { CheckpointLog } from '../../src/checkpoints/log.ts'
import { Merger } from '../../src/checkpoints/merger.ts'
import { newOwner } from '../../src/checkpoints/owner.ts'
import { seal, unseal } from '../../src/checkpoints/sealed.ts'
import { mergeStateLines } from '../../src/checkpoints/state-part.ts'
import type { CheckpointStore } from '../../src/checkpoints/store.ts'
import { temporaryFolder } from '../support/program.ts'

const contract = storeContract({
  name: 'directory',
  make: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
    return { store: await openDirectoryStore(folder), again: () => openDirectoryStore(folder) }
  },
})
describe('the directory store', () => {
  for (const { title, run } of contract) it(title, run)

  it('does not make a folder that is only looked at', async () => {
    const folder = join(temporaryFolder(), 'none')
    const store = await openDirectoryStore(folder)
    expect([await store.list(), await store.read('a')]).toEqual([[], undefined])
    expect(existsSync(folder)).toBe(false)
    expect(await store.create('a', Buffer.from('one'))).toBe(true)
  })

  it('removes temporaries that a crash has left, and a writer that loses its own tries again', async () => {
    const folder = temporaryFolder()
    const store = await openDirectoryStore(folder)
    writeFileSync(join(folder, '.tmp-left'), 'half')
    expect(await store.list()).toEqual([])
    await store.removeTemporaries?.()
    expect(readdirSync(folder)).toEqual([])
  })
})

const owner = newOwner()
const head = (number: number, more: Partial<Head> = {}): Head => ({
  version: { generation: 1, number },
  pipeline: 'p',
  at: 0,
  owner,
  fingerprint: {},
  positions: {},
  state: [],
  pending: { publish: { generation: 1, number }, parts: [] },
  counts: {},
  ...more,
})

describe('the checkpoint log', () => {
  const make = async (): Promise<{ log: CheckpointLog; store: CheckpointStore }> => {
    const store = await openDirectoryStore(temporaryFolder())
    return { log: new CheckpointLog(store), store }
  }

  it('lets one of many commit a number, and fences the others', async () => {
    const { log } = await make()
    const results = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => log.commit(head(1, { at: i }))))
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(1)
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'MLR_ERR_FENCED' })
  })

  it('fences who creates a number again that was deleted', async () => {
    const { log, store } = await make()
    for (let n = 1; n <= 30; n++) {
      await log.commit(head(n))
      await log.clean(head(n), [])
    }
    expect((await log.versions()).length).toBe(16)
    expect(await store.read(headName({ generation: 1, number: 3 }))).toBeUndefined()
    await expect(log.commit(head(3))).rejects.toMatchObject({ code: 'MLR_ERR_FENCED' })
    expect((await log.last())?.version.number).toBe(30)
  })

  it('orders generations before numbers', async () => {
    const { log } = await make()
    await log.commit(head(7))
    await log.commit(head(1, { version: { generation: 2, number: 1 } }))
    expect((await log.last())?.version).toEqual({ generation: 2, number: 1 })
    await expect(log.commit(head(8))).rejects.toMatchObject({ code: 'MLR_ERR_FENCED' })
  })

  it('settles an answer that was lost by sending the same bytes', async () => {
    const { store } = await make()
    let lose = 2
    const losing: CheckpointStore = {
      ...store,
      create: async (name, bytes) => {
        const made = await store.create(name, bytes)
        if (lose-- > 0) throw new Error('no answer')
        return made
      },
    }
    const log = new CheckpointLog(losing)
    await log.commit(head(1))
    lose = 1
    await store.create(headName({ generation: 1, number: 2 }), encodeHead(head(2, { at: 99 })))
    await expect(log.commit(head(2))).rejects.toMatchObject({ code: 'MLR_ERR_FENCED' })
  })

  it('tells damage of every kind, and uses nothing older', async () => {
    const { log, store } = await make()
    await log.commit(head(1))
    const name = headName({ generation: 1, number: 2 })
    const whole = encodeHead(head(2))
    const flipped = Buffer.from(whole)
    flipped[whole.length - 9]! ^= 1
    const newer = Buffer.from(whole.toString().replace('millrace head 1', 'millrace head 9'))
    for (const [blob, why] of [
      [flipped, 'its checksum is wrong'],
      [whole.subarray(0, 200), 'it was cut or copied half'],
      [Buffer.alloc(0), 'it is no head'],
      [newer, 'it has format 9 and this version knows 1'],
      [encodeHead(head(3)), 'it was renamed or copied'],
    ] as const) {
      await store.create(name, blob)
      await expect(log.last()).rejects.toThrow(
        expect.objectContaining({ code: 'MLR_ERR_CHECKPOINT_DAMAGED', message: expect.stringContaining(why) }),
      )
      await store.delete(name)
    }
    const missing = head(2, { state: [{ name: 'part-x', bytes: 5 }] })
    await log.commit(missing)
    await expect(log.readPart(missing, missing.state[0]!)).rejects.toThrow('it is not there')
    await log.commit(head(3))
    await expect(log.readPart(missing, missing.state[0]!)).rejects.toMatchObject({ code: 'MLR_ERR_CHECKPOINT_DAMAGED' })
    await log.commit(head(4, { owner: { ...owner, name: 'another' } }))
    await expect(log.readPart(missing, missing.state[0]!)).rejects.toMatchObject({ code: 'MLR_ERR_FENCED' })
  })
})

describe('merging', () => {
  const line = (key: string, accumulator: string): string => `"t"\t"${key}"\t${accumulator}\t\n`

  it('keeps the last line of each key, and drops what is gone only with the first part', () => {
    const parts = [line('a', '1') + line('b', '1'), line('a', '2') + line('b', ''), line('c', '3')]
    expect(mergeStateLines(parts, true)).toEqual([line('a', '2') + line('c', '3')])
    expect(mergeStateLines(parts, false)).toEqual([line('a', '2') + line('b', '') + line('c', '3')])
  })

  it('leaves a large old part alone, and keeps the number of parts small', async () => {
    const merger = new Merger(new CheckpointLog(await openDirectoryStore(temporaryFolder())))
    const part = (bytes: number, i: number) => ({ name: `p${i}`, bytes })
    const chosen = merger.choose([100_000, 100, 90, 80, 70, 60, 50, 40, 30].map(part))
    expect(chosen.map(({ name }) => name)).toEqual(['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7', 'p8'])
    expect(merger.choose([1, 2, 3].map(part))).toEqual([])
  })

  it('happens in a thread of its own, and refuses damage', async () => {
    const log = new CheckpointLog(await openDirectoryStore(temporaryFolder()))
    const merger = new Merger(log)
    const refs = [
      await log.createPart('part-1', seal('part', line('a', '1'))),
      await log.createPart('part-2', seal('part', line('a', '2'))),
    ]
    const { merged } = await merger.merge(head(1, { state: refs }), refs, 'part-3')
    expect(unseal('part', merged[0]!.name, await log.readPart(head(1), merged[0]!))).toBe(line('a', '2'))
    const bad = await log.createPart('part-4', Buffer.from('nothing'))
    await expect(merger.merge(head(1, { state: [bad] }), [bad], 'part-5')).rejects.toThrow('part-4')
    await merger.close()
  })
})
