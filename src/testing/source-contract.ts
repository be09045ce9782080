import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cursor, type RecordInfo } from '../core/record.ts'
import type { Source, SourceReader } from '../sources/source.ts'
import type { ContractCase } from './contract.ts'

export interface SourceContractOptions<T> {
  readonly name: string
  /** A source over the same records each time; not stdin, which can be read once. */
  readonly make: () => Source<T> | Promise<Source<T>>
  /** Its records, in order. */
  readonly expected: readonly T[]
}

/** What every source owes, as cases for any test runner: all records, in order, each with a place of its own; an end when it is stopped. */
export function sourceContract<T>({ name, make, expected }: SourceContractOptions<T>): readonly ContractCase[] {
  const open = async (): Promise<SourceReader> => (await make()).source.open({ name: 'contract' })
  return [
    {
      title: `${name}: gives every record in order`,
      run: async () =>
        deepStrictEqual(
          (await read(await open())).map(({ value }) => value),
          [...expected],
        ),
    },
    {
      title: `${name}: gives the same when it is opened again`,
      run: async () => deepStrictEqual(await read(await open()), await read(await open())),
    },
    {
      title: `${name}: each record has its source and a position of its own in its partition`,
      run: async () => {
        const records = await read(await open())
        for (const { record } of records) strictEqual(record.source, 'contract')
        const places = new Set(records.map(({ record }) => `${record.partition} ${JSON.stringify(record.position)}`))
        strictEqual(places.size, records.length)
      },
    },
    {
      title: `${name}: ends when it is stopped, without an error`,
      run: async () => {
        const reader = await open()
        const ended = (async () => {
          for await (const _ of reader) reader.stop()
          return 'ended'
        })()
        strictEqual(await Promise.race([ended, sleep(10_000, 'still reading', { ref: false })]), 'ended')
      },
    },
    {
      title: `${name}: stopped before it began it ends at once`,
      run: async () => {
        const reader = await open()
        reader.stop()
        const ended = read(reader).then(() => 'ended')
        strictEqual(await Promise.race([ended, sleep(10_000, 'still reading', { ref: false })]), 'ended')
      },
    },
    {
      title: `${name}: says what it is`,
      run: async () => {
        const { source } = await make()
        ok(source.label.length > 0)
        ok(/^[a-z]+$/.test(source.kind))
      },
    },
  ]
}

async function read(reader: SourceReader): Promise<{ readonly value: unknown; readonly record: RecordInfo }[]> {
  const records: { value: unknown; record: RecordInfo }[] = []
  const cursor = new Cursor()
  const take = (value: unknown, index: number): void => {
    cursor.index = index
    const { timestamp: _, ...record } = cursor.snapshot()
    records.push({ value, record: { ...record, timestamp: undefined } })
  }
  for await (const batch of reader) {
    cursor.origin = batch
    if (batch.kind === 'values') batch.values.forEach(take)
    else
      batch.eachLine(take, (error) => {
        throw error
      })
  }
  return records
}
