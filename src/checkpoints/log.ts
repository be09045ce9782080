import { MillraceError } from '../core/errors.ts'
import { faultPoint } from '../core/fault-point.ts'
import {
  compareVersions,
  decodeHead,
  encodeHead,
  type Head,
  headName,
  type PartRef,
  type Version,
  versionOf,
} from './checkpoint.ts'
import { damaged } from './sealed.ts'
import type { CheckpointStore } from './store.ts'

/** So many heads stay, for people and for rewinding; the greatest is never deleted, on which the fence rests. */
const KEPT_HEADS = 16

/**
 * The numbered log of a task's checkpoints. Every rule here has its counterexample in the protocol's model: a number counts only if a
 * listing after its creation shows no greater one (deleted numbers could be created again), an unclear answer is settled by sending the
 * same bytes, the greatest number is never deleted.
 */
export class CheckpointLog {
  readonly #store: CheckpointStore

  constructor(store: CheckpointStore) {
    this.#store = store
  }

  get label(): string {
    return this.#store.label
  }

  async close(): Promise<void> {
    await this.#store.close?.()
  }

  /** All versions that are there, oldest first. */
  async versions(): Promise<readonly Version[]> {
    const names = await this.#store.list()
    return names.flatMap((name) => versionOf(name) ?? []).sort(compareVersions)
  }

  /** The greatest checkpoint, or undefined in an empty log. It may be succeeded while it is read: then the newer one is. */
  async last(): Promise<Head | undefined> {
    for (;;) {
      const version = (await this.versions()).at(-1)
      if (version === undefined) return undefined
      const head = await this.read(version)
      if (head !== undefined) return head
      if (compareVersions((await this.versions()).at(-1) ?? version, version) === 0)
        throw damaged(headName(version), 'it is listed and can’t be read')
    }
  }

  async read(version: Version): Promise<Head | undefined> {
    const name = headName(version)
    const blob = await this.#store.read(name)
    return blob === undefined ? undefined : decodeHead(name, blob)
  }

  /** A part of a checkpoint. One that is missing was merged away by another owner (then this process is fenced) or is damage. */
  async readPart(head: Head, { name, bytes }: PartRef): Promise<Uint8Array> {
    const blob = await this.#store.read(name)
    if (blob !== undefined && blob.byteLength === bytes) return blob
    const newest = await this.last()
    const another = newest !== undefined && newest.owner.name !== head.owner.name
    if (another && compareVersions(newest.version, head.version) > 0) throw fenced(head.version, newest.version)
    throw damaged(
      name,
      blob === undefined
        ? `checkpoint ${describeVersion(head.version)} names it and it is not there`
        : `it has ${blob.byteLength} bytes, and ${bytes} were written`,
    )
  }

  /** Makes a part. Its name holds its owner's, so no other process can have made it. */
  async createPart(name: string, blob: Uint8Array): Promise<PartRef> {
    await this.#settle(name, blob)
    return { name, bytes: blob.byteLength }
  }

  /**
   * Commits a checkpoint. Resolves when it is the last one; rejects with `MLR_ERR_FENCED` if another process owns the task, and then
   * nothing of it may be published.
   */
  async commit(head: Head): Promise<void> {
    const { version } = head
    const name = headName(version)
    const blob = encodeHead(head)
    const made = await this.#settle(name, blob)
    faultPoint('between create and listing')
    const newest = (await this.versions()).at(-1)
    if (newest !== undefined && compareVersions(newest, version) > 0) {
      // Its number had been deleted, and was free again: nobody builds on it.
      if (made) await this.#store.delete(name)
      throw fenced(version, newest)
    }
    if (!made) throw fenced(version, newest ?? version)
  }

  /** Rejects with `MLR_ERR_FENCED` if a greater number than this one is there. */
  async stillLast({ version }: Head): Promise<void> {
    const newest = (await this.versions()).at(-1)
    if (newest !== undefined && compareVersions(newest, version) > 0) throw fenced(version, newest)
  }

  /** Removes heads that are old enough, and parts that no head after them names. Only the owner does it, after its commit. */
  async clean(head: Head, ownParts: readonly PartRef[]): Promise<void> {
    const old = (await this.versions()).slice(0, -KEPT_HEADS)
    for (const version of old) {
      faultPoint('between deletions')
      await this.#store.delete(headName(version))
    }
    const named = new Set([...head.state, ...head.pending.parts].map(({ name }) => name))
    for (const { name } of ownParts) if (!named.has(name)) await this.#store.delete(name)
  }

  /** Removes parts that a process has left which died before its head was there. Only a new owner does it, after its takeover. */
  async removeStrays(head: Head): Promise<void> {
    const named = new Set([...head.state, ...head.pending.parts].map(({ name }) => name))
    for (const name of await this.#store.list()) {
      if (name.startsWith('part-') && !named.has(name) && !name.startsWith(`part-${head.owner.name}-`))
        await this.#store.delete(name)
    }
    await this.#store.removeTemporaries?.()
  }

  /** Whether the blob is there with these bytes now; false if the name holds others. */
  async #settle(name: string, blob: Uint8Array): Promise<boolean> {
    for (let tries = 0; ; tries++) {
      try {
        if (await this.#store.create(name, blob)) return true
        const there = await this.#store.read(name)
        return there !== undefined && Buffer.compare(there, blob) === 0
      } catch (error) {
        if (tries === 2) throw error
      }
    }
  }
}

export function describeVersion({ generation, number }: Version): string {
  return generation === 1 ? String(number) : `${generation}.${number}`
}

function fenced(mine: Version, newest: Version): MillraceError {
  return new MillraceError(
    'MLR_ERR_FENCED',
    `another process has taken this pipeline over: checkpoint ${describeVersion(newest)} is there, and ${describeVersion(mine)} was mine. This one stops and changes nothing`,
  )
}
