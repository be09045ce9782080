import { deepStrictEqual, ok } from 'node:assert/strict'
import type { Sink } from '../sinks/sink.ts'
import type { ContractCase } from './contract.ts'

export interface SinkContractOptions {
  readonly name: string
  /** A new sink, and how to read what it holds: JSON values in order, or undefined where there is nothing. */
  readonly make: () => Promise<{
    readonly sink: Sink<unknown>
    readonly read: () => Promise<readonly unknown[] | undefined>
  }>
}

/** What every sink owes, as cases for any test runner: all that it was given, in order, once it is closed; nothing if it was aborted. */
export function sinkContract({ name, make }: SinkContractOptions): readonly ContractCase[] {
  const many = Array.from({ length: 5000 }, (_, i) => ({ i, text: 'x'.repeat(i % 50) }))
  return [
    {
      title: `${name}: holds the events that it was given, in order`,
      run: async () => {
        const { sink, read } = await make()
        const writer = await sink.sink.open()
        for (let i = 0; i < many.length; i += 700)
          await writer.write({ kind: 'events', values: many.slice(i, i + 700) })
        await writer.close()
        deepStrictEqual(await read(), many)
      },
    },
    {
      title: `${name}: holds the rows of a table that are sent once`,
      run: async () => {
        const { sink, read } = await make()
        const writer = await sink.sink.open()
        await writer.write({
          kind: 'rows',
          changes: [
            { key: '__proto__', index: 0, value: { n: 1 } },
            { key: 'a', index: 0, value: { n: 2 } },
            { key: 'a', index: 1, value: { n: 3 } },
          ],
        })
        await writer.close()
        deepStrictEqual(await read(), [{ n: 1 }, { n: 2 }, { n: 3 }])
      },
    },
    {
      title: `${name}: is empty, and there, after a run that gave nothing`,
      run: async () => {
        const { sink, read } = await make()
        await (await sink.sink.open()).close()
        deepStrictEqual(await read(), [])
      },
    },
    {
      title: `${name}: shows nothing of a run that failed`,
      run: async () => {
        const { sink, read } = await make()
        const writer = await sink.sink.open()
        await writer.write({ kind: 'events', values: many })
        await writer.abort()
        ok(((await read()) ?? []).length === 0)
      },
    },
  ]
}
