import { Worker } from 'node:worker_threads'
import { MillraceError } from '../core/errors.ts'
import type { Head, PartRef } from './checkpoint.ts'
import type { CheckpointLog } from './log.ts'
import type { MergeRequest } from './merge-worker.ts'

/** More parts than this are merged: a start reads them all, and each checkpoint adds one. */
const MOST_PARTS = 8

export interface Merged {
  readonly merged: PartRef
  readonly instead: readonly PartRef[]
}

/**
 * Merges parts of the state in a worker thread. The newest parts are merged as long as the next older one is not more than twice as large as
 * all of them, so each line is merged a logarithmic number of times, and a large old part is left alone.
 */
export class Merger {
  readonly #log: CheckpointLog
  #worker: Worker | undefined

  constructor(log: CheckpointLog) {
    this.#log = log
  }

  /** Which parts to merge now; empty: none. */
  choose(state: readonly PartRef[]): readonly PartRef[] {
    if (state.length <= MOST_PARTS) return []
    let from = state.length - 1
    let bytes = (state[from] as PartRef).bytes
    while (from > 0 && (state[from - 1] as PartRef).bytes <= 2 * bytes) bytes += (state[--from] as PartRef).bytes
    // Small new parts over a large old one: at least those that are too many.
    return state.slice(Math.min(from, MOST_PARTS / 2))
  }

  async merge(head: Head, parts: readonly PartRef[], name: string): Promise<Merged> {
    const blobs = await Promise.all(parts.map((part) => this.#log.readPart(head, part)))
    const request: MergeRequest = {
      names: parts.map((part) => part.name),
      blobs,
      fromTheFirst: parts[0] === head.state[0],
    }
    const blob = await this.#ask(request)
    return { merged: await this.#log.createPart(name, blob), instead: parts }
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
    this.#worker = undefined
  }

  #ask(request: MergeRequest): Promise<Uint8Array> {
    this.#worker ??= new Worker(
      new URL(import.meta.url.endsWith('.ts') ? './merge-worker.ts' : './merge-worker.js', import.meta.url),
    )
    const worker = this.#worker
    // A merge alone must not keep the process.
    worker.unref()
    return new Promise((resolve, reject) => {
      const done = (answer: { merged?: Uint8Array; error?: string }): void => {
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
