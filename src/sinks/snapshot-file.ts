import { canonicalText } from '../core/canonical.ts'
import { type Key, parseKey, sortByKey } from '../core/key.ts'
import { openFormat, type TextFormat } from '../formats/format.ts'
import { DISK } from './disk-place.ts'
import type { FilePlace } from './file-place.ts'
import { OwnedFiles } from './owned-files.ts'
import { isPacked, refuseUnpackable } from './packing.ts'
import type { TaskSink, Version } from './sink.ts'

type Change = readonly [key: string, index: number, value: unknown]

/**
 * A table as one file that always holds the whole of it, as of the last checkpoint: written anew and renamed. It holds the rows in memory, so
 * it is for tables that fit there; and each start gives it the whole table, so a crash need not be repaired.
 */
export function openSnapshotTask(
  path: string,
  format: TextFormat,
  pipeline: string,
  place: FilePlace = DISK,
): TaskSink {
  refuseUnpackable(path)
  const files = new OwnedFiles(path, place)
  const rows = new Map<string, { readonly key: Key; readonly index: number; readonly value: unknown }>()
  let takeover: Version = { generation: 0, number: 0 }
  let ended = false
  const idOf = (key: string, index: number): string => `${key}\t${index}`

  const write = async (): Promise<void> => {
    const text = openFormat(format)
    let content = ''
    for (const { key, index, value } of sortByKey([...rows.values()].sort((a, b) => a.index - b.index)))
      content += text.row(key, index, value)
    content += text.end()
    await files.replace(path, async (temporary) => {
      if (!isPacked(path)) return place.write(temporary, content)
      const plain = files.temporary('plain')
      await place.write(plain, content)
      await place.pack(plain, temporary, path)
      await place.remove(plain)
    })
  }
  return {
    promise: 'exactly once',
    keepsRecord: true,
    wantsWholeTable: true,
    recorded: () => files.recorded(),
    begin: async (given) => {
      takeover = given.version
      await files.begin(given)
      await files.removeOlder(new Set())
    },
    prepare: (outputs, cut) => {
      const changes: Change[] = []
      for (const output of outputs)
        if (output.kind === 'rows')
          for (const { key, index, value } of output.changes) changes.push([canonicalText(key), index, value ?? null])
      if (changes.length === 0 && (!cut.last || ended)) return []
      // An empty table is a file too.
      ended = cut.last
      return [JSON.stringify(changes)]
    },
    publish: async (version, [prepared = '[]']) => {
      // What another owner had prepared was made for rows that we do not hold; the whole table comes with the next checkpoint.
      if (version.generation !== takeover.generation || version.number <= takeover.number) return 0
      const changes = JSON.parse(prepared) as readonly Change[]
      for (const [key, index, value] of changes) {
        if (value === null) rows.delete(idOf(key, index))
        else rows.set(idOf(key, index), { key: parseKey(key), index, value })
      }
      if (changes.length === 0 && (await files.guard(() => place.size(path))) !== undefined) return 0
      await write()
      await files.record({ pipeline, version })
      return changes.length
    },
    close: () => place.close(),
  }
}
