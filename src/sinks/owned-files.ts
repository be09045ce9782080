import { createReadStream, createWriteStream } from 'node:fs'
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip, createZstdCompress } from 'node:zlib'
import { isMillraceError, MillraceError, reasonOf } from '../core/errors.ts'
import { faultPoint } from '../core/fault-point.ts'
import { syncPath } from '../core/sync.ts'
import type { Takeover, Version } from './sink.ts'

/** Which temporary files and records belong to a sink, and what every publishing sink of files does with them. */
export class OwnedFiles {
  readonly path: string
  readonly folder: string
  readonly #base: string
  #holder = ''
  #takeover: Takeover | undefined

  constructor(path: string) {
    this.path = path
    this.folder = dirname(path)
    this.#base = basename(path)
  }

  /** What the temporary names of this owner end in. */
  get holder(): string {
    return this.#holder
  }

  async begin(takeover: Takeover): Promise<void> {
    this.#takeover = takeover
    this.#holder = holderOf(takeover.version)
    await this.guard(() => mkdir(this.folder, { recursive: true }))
  }

  /** For a run without checkpoints: nobody can take it over. */
  beginAlone(): Promise<void> {
    return this.begin({
      version: { generation: 0, number: process.pid },
      positions: {},
      manifest: undefined,
      stillOwner: async () => {},
    })
  }

  temporary(id: number | string, holder = this.#holder): string {
    return join(this.folder, `.${this.#base}.${id}.${holder}.tmp`)
  }

  /** The temporary files of owners before this one; `keep` are those that the checkpoint names. */
  async removeOlder(keep: ReadonlySet<string>): Promise<void> {
    await this.guard(async () => {
      for (const name of await readdir(this.folder)) {
        if (!name.startsWith(`.${this.#base}.`) || !name.endsWith('.tmp')) continue
        const holder = /\.(\d{6}-\d{12})\.tmp$/.exec(name)?.[1]
        if (holder === undefined || holder >= this.#holder || keep.has(join(this.folder, name))) continue
        await rm(join(this.folder, name), { force: true })
      }
    })
  }

  /**
   * Replaces a file by another as a whole. Nobody who was fenced can do it: the temporary name holds the owner's number, a new owner removes
   * those of lower numbers after its takeover, and between writing it and renaming it the owner looks whether it still is one.
   */
  async replace(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
    const temporary = this.temporary(`new-${basename(path)}`)
    await this.guard(async () => {
      await write(temporary)
      await syncPath(temporary)
      faultPoint('file written')
      await this.#takeover?.stillOwner()
      await rename(temporary, path)
      await syncPath(this.folder)
    })
  }

  async recorded(): Promise<{ readonly pipeline: string; readonly version: Version } | undefined> {
    try {
      return JSON.parse(await readFile(this.#recordPath, 'utf8')) as { pipeline: string; version: Version }
    } catch (error) {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
      throw new MillraceError(
        'MLR_ERR_CHECKPOINT_DAMAGED',
        `${this.#recordPath}, which says what was written to ${this.path}, can't be read: ${reasonOf(error)}`,
        { cause: error },
      )
    }
  }

  record(pipeline: string, version: Version): Promise<void> {
    return this.replace(this.#recordPath, (temporary) =>
      writeWhole(temporary, `${JSON.stringify({ pipeline, version })}\n`),
    )
  }

  /** Gives a temporary file its name; never over another file. What is there with the same bytes is this very file. */
  async reveal(temporary: string, target: string): Promise<void> {
    await this.guard(async () => {
      try {
        await link(temporary, target)
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error
        if (!(await sameBytes(temporary, target))) throw new Error(`${target} is there and holds something else`)
      }
      faultPoint('between link and unlink')
      await rm(temporary, { force: true })
    })
  }

  async guard<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      if (isMillraceError(error, 'MLR_ERR_FENCED')) throw error
      // A new owner removes what a former one has begun: then that is what there is to tell.
      await this.#takeover?.stillOwner()
      if (isMillraceError(error)) throw error
      throw new MillraceError('MLR_ERR_OUTPUT_WRITE', `cannot write ${this.path}: ${reasonOf(error)}`, { cause: error })
    }
  }

  get #recordPath(): string {
    return join(this.folder, `.${this.#base}.millrace.json`)
  }
}

/** In the order of the numbers also as text. */
export function holderOf({ generation, number }: Version): string {
  return `${String(generation).padStart(6, '0')}-${String(number).padStart(12, '0')}`
}

/** Copies a file, packed as the suffix of its final name says. */
export async function packInto(from: string, to: string, name: string): Promise<void> {
  const packer = /\.gz$/i.test(name) ? createGzip() : createZstdCompress()
  await pipeline(createReadStream(from), packer, createWriteStream(to, { flush: true }))
}

export function isPacked(name: string): boolean {
  return /\.(gz|zst)$/i.test(name)
}

export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Copies the first bytes of a file into another one, which is made anew. */
export async function copyFirst(from: string, to: string, bytes: number): Promise<void> {
  const source = bytes === 0 ? Readable.from([]) : createReadStream(from, { end: bytes - 1 })
  await pipeline(source, createWriteStream(to, { flush: true }))
}

async function writeWhole(path: string, text: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(text)
  } finally {
    await file.close()
  }
}

async function sameBytes(a: string, b: string): Promise<boolean> {
  if ((await sizeOf(a)) !== (await sizeOf(b))) return false
  const [left, right] = [await open(a), await open(b)]
  try {
    const [x, y] = [Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)]
    for (;;) {
      const { bytesRead } = await left.read(x)
      if (bytesRead === 0) return true
      await right.read(y, 0, bytesRead)
      if (Buffer.compare(x.subarray(0, bytesRead), y.subarray(0, bytesRead)) !== 0) return false
    }
  } finally {
    await left.close()
    await right.close()
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code
}
