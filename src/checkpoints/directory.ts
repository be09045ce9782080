import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError, reasonOf } from '../core/errors.ts'
import { syncPath } from '../core/sync.ts'
import type { CheckpointStore } from './store.ts'

const TEMPORARY = /^\.tmp-/

/**
 * Checkpoints in a folder of a local disk. A blob is written under a temporary name, synced, linked to its own name (which fails if that
 * exists, and shows nothing half), and the folder is synced.
 */
export async function openDirectoryStore(folder: string): Promise<CheckpointStore> {
  const attempt = async <T>(what: string, run: () => Promise<T>): Promise<T> => {
    try {
      return await run()
    } catch (error) {
      throw new MillraceError(
        'MLR_ERR_CHECKPOINT_STORE',
        `the checkpoint folder ${folder} can't be ${what}: ${reasonOf(error)}`,
        { cause: error },
      )
    }
  }
  return {
    label: folder,
    create: (name, bytes) =>
      attempt('written', async () => {
        const temporary = join(folder, `.tmp-${randomUUID()}`)
        // Made with the first blob: to look at a folder that is not there must not make it.
        await mkdir(folder, { recursive: true })
        try {
          await writeSynced(temporary, bytes)
          await link(temporary, join(folder, name))
        } catch (error) {
          if (codeOf(error) === 'EEXIST') return false
          throw error
        } finally {
          await rm(temporary, { force: true })
        }
        await syncPath(folder)
        return true
      }),
    read: (name) =>
      attempt('read', async () => {
        try {
          return await readFile(join(folder, name))
        } catch (error) {
          if (codeOf(error) === 'ENOENT') return undefined
          throw error
        }
      }),
    list: () => attempt('listed', async () => (await namesIn(folder)).filter((name) => !TEMPORARY.test(name))),
    delete: (name) =>
      attempt('cleaned', async () => {
        try {
          await unlink(join(folder, name))
        } catch (error) {
          if (codeOf(error) !== 'ENOENT') throw error
        }
      }),
    removeTemporaries: () =>
      attempt('cleaned', async () => {
        for (const name of await namesIn(folder))
          if (TEMPORARY.test(name)) await rm(join(folder, name), { force: true })
      }),
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
