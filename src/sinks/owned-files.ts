import { posix } from 'node:path'
import { isMillraceError, MillraceError, reasonOf } from '../core/errors.ts'
import { faultPoint } from '../core/fault-point.ts'
import { DISK } from './disk-place.ts'
import type { FilePlace } from './file-place.ts'
import type { Takeover, Version } from './sink.ts'

const { basename, dirname, join } = posix

export interface SinkRecord {
  readonly pipeline: string
  readonly version: Version
  readonly [more: string]: unknown
}

/** Which temporary files and records belong to a sink, and what every publishing sink of files does with them. */
export class OwnedFiles {
  readonly path: string
  readonly folder: string
  readonly place: FilePlace
  readonly #base: string
  #holder = ''
  #takeover: Takeover | undefined

  constructor(path: string, place: FilePlace = DISK) {
    this.path = path
    this.place = place
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
    await this.guard(() => this.place.makeFolder(this.folder))
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
      for (const name of await this.place.list(this.folder)) {
        if (!name.startsWith(`.${this.#base}.`) || !name.endsWith('.tmp')) continue
        const holder = /\.(\d{6}-\d{12})\.tmp$/.exec(name)?.[1]
        if (holder === undefined || holder >= this.#holder || keep.has(join(this.folder, name))) continue
        await this.place.remove(join(this.folder, name))
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
      await this.place.sync([temporary], this.folder)
      faultPoint('file written')
      await this.#takeover?.stillOwner()
      await this.place.replace(temporary, path)
      await this.place.sync([], this.folder)
    })
  }

  async recorded(): Promise<SinkRecord | undefined> {
    const text = await this.guard(() => this.place.read(this.#recordPath))
    if (text === undefined) return undefined
    try {
      return JSON.parse(text) as SinkRecord
    } catch (error) {
      throw new MillraceError(
        'MLR_ERR_CHECKPOINT_DAMAGED',
        `${this.#recordPath}, which says what was written to ${this.path}, can't be read: ${reasonOf(error)}`,
        { cause: error },
      )
    }
  }

  /** What was published last, and by whom; what else a sink adds is for who reads its files. */
  record(record: SinkRecord): Promise<void> {
    return this.replace(this.#recordPath, (temporary) => this.place.write(temporary, `${JSON.stringify(record)}\n`))
  }

  /** Gives a temporary file its name; never over another file. What is there with the same bytes is this very file. */
  async reveal(temporary: string, target: string): Promise<void> {
    await this.guard(async () => {
      if (await this.place.reveal(temporary, target)) return
      if (!(await this.place.sameBytes(temporary, target)))
        throw new Error(`${target} is there and holds something else`)
      await this.place.remove(temporary)
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
      throw new MillraceError(
        'MLR_ERR_OUTPUT_WRITE',
        `cannot write ${this.place.name(this.path)}: ${reasonOf(error)}`,
        { cause: error },
      )
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
