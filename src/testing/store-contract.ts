import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import type { CheckpointStore } from '../checkpoints/store.ts'
import type { ContractCase } from './contract.ts'

export interface StoreContractOptions {
  readonly name: string
  /** An empty store, and how to open the very same one again, as another process would. */
  readonly make: () => Promise<{ readonly store: CheckpointStore; readonly again: () => Promise<CheckpointStore> }>
}

/** What every checkpoint store owes, as cases for any test runner: of many that create a name one succeeds, and nothing is seen half. */
export function storeContract({ name, make }: StoreContractOptions): readonly ContractCase[] {
  const bytes = (text: string): Buffer => Buffer.from(text)
  return [
    {
      title: `${name}: holds what was created, also for who opens it again`,
      run: async () => {
        const { store, again } = await make()
        strictEqual(await store.create('a', bytes('one')), true)
        const other = await again()
        deepStrictEqual(Buffer.from((await other.read('a'))!), bytes('one'))
        deepStrictEqual([...(await other.list())], ['a'])
        strictEqual(await other.read('b'), undefined)
      },
    },
    {
      title: `${name}: a name that exists is neither created again nor changed`,
      run: async () => {
        const { store, again } = await make()
        await store.create('a', bytes('one'))
        strictEqual(await (await again()).create('a', bytes('two')), false)
        strictEqual(await store.create('a', bytes('one')), false)
        deepStrictEqual(Buffer.from((await store.read('a'))!), bytes('one'))
      },
    },
    {
      title: `${name}: of many that create a name at once exactly one succeeds, and its bytes are there`,
      run: async () => {
        const { store, again } = await make()
        const others = [store, await again(), await again()]
        for (let round = 0; round < 20; round++) {
          const made = await Promise.all(
            Array.from({ length: 12 }, (_, i) => others[i % 3]!.create(`n${round}`, bytes(`${i}`.repeat(10_000)))),
          )
          strictEqual(made.filter(Boolean).length, 1)
          const there = Buffer.from((await store.read(`n${round}`))!).toString()
          strictEqual(there, `${made.indexOf(true)}`.repeat(10_000))
        }
      },
    },
    {
      title: `${name}: a blob that is being created is not seen half`,
      run: async () => {
        const { store, again } = await make()
        const reader = await again()
        const big = bytes('x'.repeat(4 << 20))
        let creating = true
        const made = store.create('big', big).finally(() => {
          creating = false
        })
        while (creating) {
          const seen = await reader.read('big')
          ok(seen === undefined || seen.byteLength === big.length, `saw ${seen?.byteLength} bytes`)
          ok((await reader.list()).every((listed) => listed === 'big'))
        }
        await made
        strictEqual((await reader.read('big'))?.byteLength, big.length)
      },
    },
    {
      title: `${name}: a blob that was deleted is gone, and its name free; to delete it again is no error`,
      run: async () => {
        const { store } = await make()
        await store.create('a', bytes('one'))
        await store.delete('a')
        await store.delete('a')
        strictEqual(await store.read('a'), undefined)
        deepStrictEqual([...(await store.list())], [])
        strictEqual(await store.create('a', bytes('two')), true)
      },
    },
    {
      title: `${name}: holds an empty blob, and many`,
      run: async () => {
        const { store } = await make()
        strictEqual(await store.create('empty', bytes('')), true)
        strictEqual((await store.read('empty'))?.byteLength, 0)
        await Promise.all(Array.from({ length: 100 }, (_, i) => store.create(`many-${i}`, bytes(`${i}`))))
        strictEqual((await store.list()).length, 101)
      },
    },
  ]
}
