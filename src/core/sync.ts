import { open } from 'node:fs/promises'

/** Brings a file, or what a folder lists, to the disk: what was renamed or linked in it outlives a crash of the machine. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
