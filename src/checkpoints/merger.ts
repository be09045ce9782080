import { Worker } from 'node:worker_threads'
import { MillraceError } from '../core/errors.ts'
import type { Head, PartRef } from './checkpoint.ts'
import type { CheckpointLog } from './log.ts'
import type { MergeRequest } from './merge-worker.ts'

/** More groups of parts than this are merged: a start reads them all, and each checkpoint adds one. */
const MOST_GROUPS = 8

export interface Merged {
  readonly merged: readonly PartRef[]
  readonly instead: readonly PartRef[]
}

/**
 * Merges parts of the state in a worker thread. The newest are merged as long as the next older group is not more than twice as large as
 * all of them, so each line is merged a logarithmic number of times, and a large old group is left alone.
 */
export class Merger {
  readonly #log: CheckpointLog
  #worker: Worker | undefined

  constructor(log: CheckpointLog) {
    this.#log = log
  }

  /** Which parts to merge now; empty: none. */
  choose(state: readonly PartRef[]): readonly PartRef[] {
    const groups = groupsOf(state)
    if (groups.length <= MOST_GROUPS) return []
    const bytesOf = (i: number): number => (groups[i] as readonly PartRef[]).reduce((sum, { bytes }) => sum + bytes, 0)
    let from = groups.length - 1
    let bytes = bytesOf(from)
    while (from > 0 && bytesOf(from - 1) <= 2 * bytes) bytes += bytesOf(--from)
    // Small new ones over a large old one: at least those that are too many.
    return groups.slice(Math.min(from, MOST_GROUPS / 2)).flat()
  }

  async merge(head: Head, parts: readonly PartRef[], name: string): Promise<Merged> {
    const blobs = await Promise.all(parts.map((part) => this.#log.readPart(head, part)))
    const request: MergeRequest = {
      names: parts.map((part) => part.name),
      blobs,
      fromTheFirst: parts[0] === head.state[0],
    }
    const merged: PartRef[] = []
    for (const [i, blob] of (await this.#ask(request)).entries())
      merged.push({ ...(await this.#log.createPart(`${name}-${i}`, blob)), group: `${name}-0` })
    return { merged, instead: parts }
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
    this.#worker = undefined
  }

  #ask(request: MergeRequest): Promise<readonly Uint8Array[]> {
    this.#worker ??= new Worker(
      new URL(import.meta.url.endsWith('.ts') ? './merge-worker.ts' : './merge-worker.js', import.meta.url),
    )
    const worker = this.#worker
    // A merge alone must not keep the process.
    worker.unref()
    return new Promise((resolve, reject) => {
      const done = (answer: { merged?: readonly Uint8Array[]; error?: string }): void => {
        worker.off('error', reject)
        if (answer.merged !== undefined) resolve(answer.merged)
        else reject(new MillraceError('MLR_ERR_CHECKPOINT_DAMAGED', answer.error ?? 'a merge of state failed'))
      }
      worker.once('message', done)
      worker.once('error', reject)
      worker.postMessage(request)
    })
  }
}

function groupsOf(state: readonly PartRef[]): readonly (readonly PartRef[])[] {
  const groups: PartRef[][] = []
  for (const part of state) {
    const last = groups.at(-1)
    if (part.group !== undefined && last?.[0]?.group === part.group) last.push(part)
    else groups.push([part])
  }
  return groups
}
