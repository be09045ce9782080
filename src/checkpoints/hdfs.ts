import { randomUUID } from 'node:crypto'
import { HdfsConnection, type HdfsConnectionOptions } from '../connections/hdfs.ts'
import { MillraceError, reasonOf } from '../core/errors.ts'
import type { CheckpointStore } from './store.ts'

const TEMPORARY = /^\.tmp-/

/**
 * Checkpoints in a folder of HDFS. A blob is uploaded under a temporary name, its length verified, and renamed to its own name in a way that fails
 * if that exists: readers see nothing or the whole blob, and of many that make a name one does.
 */
export async function openHdfsStore(
  options: HdfsConnectionOptions,
  folder: string,
  say: (line: string) => void = () => {},
): Promise<CheckpointStore> {
  const connection = new HdfsConnection(options, say)
  const attempt = async <T>(what: string, run: () => Promise<T>): Promise<T> => {
    try {
      return await run()
    } catch (error) {
      if (error instanceof MillraceError) throw error
      throw new MillraceError(
        'MLR_ERR_CHECKPOINT_STORE',
        `the checkpoint folder ${connection.label}${folder} can't be ${what}: ${reasonOf(error)}`,
        { cause: error },
      )
    }
  }
  const names = async (): Promise<readonly string[]> => ((await connection.list(folder)) ?? []).map(({ name }) => name)
  // So that a server that is away is told at the start.
  await connection.stat(folder)
  return {
    label: `${connection.label}${folder}`,
    create: (name, bytes) =>
      attempt('written', async () => {
        const temporary = `${folder}/.tmp-${randomUUID()}`
        await connection.create(temporary, bytes)
        const answer = await connection.rename(temporary, `${folder}/${name}`, 'never')
        if (answer === 'done') return true
        // Not there any more: done by a rename whose answer was lost, if the bytes are ours.
        if (answer === 'missing') {
          const there = await connection.readWhole(`${folder}/${name}`)
          if (there !== undefined && Buffer.compare(there, bytes) === 0) return true
          throw new Error(`${temporary} has gone before it was renamed to ${name}`)
        }
        await connection.remove(temporary)
        return false
      }),
    read: (name) => attempt('read', () => connection.readWhole(`${folder}/${name}`)),
    list: () => attempt('listed', async () => (await names()).filter((name) => !TEMPORARY.test(name))),
    delete: (name) => attempt('cleaned', () => connection.remove(`${folder}/${name}`)),
    removeTemporaries: () =>
      attempt('cleaned', async () => {
        for (const name of await names()) if (TEMPORARY.test(name)) await connection.remove(`${folder}/${name}`)
      }),
  }
}
