import { parentPort } from 'node:worker_threads'
import { seal, unseal } from './sealed.ts'
import { mergeStateLines } from './state-part.ts'

/** What a merge is asked: the blobs of the parts, oldest first. */
export interface MergeRequest {
  readonly names: readonly string[]
  readonly blobs: readonly Uint8Array[]
  readonly fromTheFirst: boolean
}

// A worker of its own: with a million keys a merge takes a second, in which the stream must not stand.
parentPort?.on('message', ({ names, blobs, fromTheFirst }: MergeRequest) => {
  try {
    const parts = blobs.map((blob, i) => unseal('part', names[i] as string, blob))
    const merged = mergeStateLines(parts, fromTheFirst).map((piece) => seal('part', piece))
    parentPort?.postMessage(
      { merged },
      merged.map(({ buffer }) => buffer as ArrayBuffer),
    )
  } catch (error) {
    parentPort?.postMessage({ error: error instanceof Error ? error.message : String(error) })
  }
})
