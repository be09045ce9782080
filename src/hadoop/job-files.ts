import { readdir, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { HdfsConnection } from '../connections/hdfs.ts'
import { MillraceError } from '../core/errors.ts'
import { findInputFiles } from '../sources/input-files.ts'

/** Inputs and outputs of jobs: paths of HDFS, and `file:` ones of this machine for Hadoop's local runner. */
export class JobFiles {
  readonly #hdfs: () => Promise<HdfsConnection>
  readonly #find: (connection: HdfsConnection, path: string) => Promise<readonly { readonly path: string }[]>

  constructor(
    hdfs: () => Promise<HdfsConnection>,
    find: (connection: HdfsConnection, path: string) => Promise<readonly { readonly path: string }[]>,
  ) {
    this.#hdfs = hdfs
    this.#find = find
  }

  /** Refuses an input that is not there. */
  async checkInput(path: string): Promise<void> {
    if (isLocal(path)) await findInputFiles(localPath(path))
    else await this.#find(await this.#hdfs(), path)
  }

  async refuseExisting(path: string): Promise<void> {
    if (!(await this.#exists(path))) return
    const where = isLocal(path) ? path : `${(await this.#hdfs()).label}${path}`
    throw new MillraceError('MLR_ERR_OUTPUT_EXISTS', `the output ${where} exists — remove it or name another`)
  }

  async remove(path: string): Promise<void> {
    if (isLocal(path)) await rm(localPath(path), { recursive: true, force: true })
    else await (await this.#hdfs()).remove(path)
  }

  /** How many part files an output has. */
  async parts(path: string): Promise<number> {
    const names = isLocal(path)
      ? await readdir(localPath(path))
      : ((await (await this.#hdfs()).list(path)) ?? []).map(({ name }) => name)
    return names.filter((name) => name.startsWith('part-')).length
  }

  async #exists(path: string): Promise<boolean> {
    if (!isLocal(path)) return (await (await this.#hdfs()).stat(path)) !== undefined
    return stat(localPath(path)).then(
      () => true,
      () => false,
    )
  }
}

export function isLocal(path: string): boolean {
  return path.startsWith('file:')
}

/** `file:x`, `file:///abs/x` as Hadoop takes them. */
export function localUrl(path: string): string {
  const plain = path.replace(/^file:(\/\/)?/, '')
  // A pattern stays one.
  return pathToFileURL(resolve(plain))
    .href.replaceAll('%7B', '{')
    .replaceAll('%7D', '}')
    .replaceAll('%5B', '[')
    .replaceAll('%5D', ']')
}

function localPath(url: string): string {
  return fileURLToPath(url)
}
