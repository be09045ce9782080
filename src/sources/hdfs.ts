import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { HdfsConnection, type HdfsConnectionOptions } from '../connections/hdfs.ts'
import type { HdfsStatus } from '../connections/hdfs-status.ts'
import { compareBytes } from '../core/canonical.ts'
import { MillraceError } from '../core/errors.ts'
import { readFiles } from './file-reader.ts'
import { compressionOf, type InputFile, isGlob, isVisible, type RawInput } from './input-files.ts'
import type { SourceOptions, SourceReader } from './source.ts'

/** How often a folder that is followed is looked at. */
const LOOK_MS = 1000
/** To open a file takes a namenode and a datanode some ten milliseconds, which is longer than to read a small one. */
const AHEAD = 4

/** Opens a file, folder or glob of HDFS as lines. */
export async function openHdfsSource(
  path: string,
  connecting: HdfsConnectionOptions,
  options: SourceOptions & { readonly maxLineBytes?: number | undefined },
): Promise<SourceReader> {
  const connection = new HdfsConnection(connecting, options.say)
  return readFiles({ find: () => findHdfsFiles(connection, path), lookMs: LOOK_MS, ahead: AHEAD, ...options })
}

/** The files that a path stands for, as Hadoop reads them: a file, a folder's visible files, or a glob. In the order of their names' bytes. */
export async function findHdfsFiles(connection: HdfsConnection, path: string): Promise<readonly InputFile[]> {
  const found = new Map<string, HdfsStatus>()
  for (const [at, status] of await matching(connection, path)) {
    if (!status.directory) found.set(at, status)
    else
      for (const inside of (await connection.list(at)) ?? [])
        if (!inside.directory && isVisible(inside.name)) found.set(posix.join(at, inside.name), inside)
  }
  if (found.size === 0) {
    const there = isGlob(path) ? undefined : await connection.stat(path)
    throw new MillraceError(
      'MLR_ERR_INPUT_MISSING',
      there === undefined
        ? `there is nothing at ${connection.label}${path}`
        : `the folder ${connection.label}${path} holds no files to read`,
    )
  }
  return [...found]
    .sort(([a], [b]) => compareBytes(a, b))
    .map(([at, { bytes, id }]) => ({
      path: at,
      bytes,
      compression: compressionOf(at),
      regular: true,
      identity: `hdfs:${id}`,
      open: (start) => rawInput(connection, at, start),
    }))
}

/** By path, what a pattern matches; one folder after the other. */
async function matching(
  connection: HdfsConnection,
  pattern: string,
): Promise<readonly (readonly [string, HdfsStatus])[]> {
  if (!isGlob(pattern)) {
    const status = await connection.stat(pattern)
    return status === undefined ? [] : [[pattern, status]]
  }
  let found: (readonly [string, HdfsStatus | undefined])[] = [['/', undefined]]
  for (const part of pattern.split('/').filter((name) => name !== '')) {
    const next: (readonly [string, HdfsStatus | undefined])[] = []
    for (const [folder] of found) {
      if (!isGlob(part)) {
        const at = posix.join(folder, part)
        const status = await connection.stat(at)
        if (status !== undefined) next.push([at, status])
        continue
      }
      for (const status of (await connection.list(folder)) ?? [])
        if (posix.matchesGlob(status.name, part)) next.push([posix.join(folder, status.name), status])
    }
    found = next
  }
  return found as [string, HdfsStatus][]
}

function rawInput(connection: HdfsConnection, path: string, offset: number): RawInput {
  let read = 0
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of connection.read(path, { offset })) {
      read += chunk.length
      yield chunk
    }
  }
  const raw = Readable.from(counted(), { objectMode: false })
  Object.defineProperty(raw, 'bytesRead', { get: () => read })
  return raw as RawInput
}
