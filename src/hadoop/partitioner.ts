import { Writable } from 'node:stream'

const LF = 10
const TAB = 9

/**
 * Sends each line `key TAB …` to the output that the hash of its key's bytes chooses: equal keys always meet. The hash is Hadoop's
 * (`WritableComparator.hashBytes`), so a local job's parts hold what the cluster's would.
 */
export class Partitioner extends Writable {
  readonly #outputs: readonly Writable[]
  #rest: Buffer = Buffer.alloc(0)

  constructor(outputs: readonly Writable[]) {
    super()
    this.#outputs = outputs
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const end = bytes.lastIndexOf(LF) + 1
    this.#rest = Buffer.from(bytes.subarray(end))
    this.#send(bytes.subarray(0, end), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#rest.length === 0) done()
    else this.#send(Buffer.concat([this.#rest, Buffer.from('\n')]), done)
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    const shares: Buffer[][] = this.#outputs.map(() => [])
    if (this.#outputs.length === 1) shares[0]?.push(bytes)
    else {
      for (let start = 0; start < bytes.length; ) {
        const end = bytes.indexOf(LF, start) + 1
        shares[hashOfKey(bytes, start, end) % this.#outputs.length]?.push(bytes.subarray(start, end))
        start = end
      }
    }
    const full = shares.flatMap((share, i) => {
      const output = this.#outputs[i] as Writable
      const kept = share.length === 0 || output.write(share.length === 1 ? share[0] : Buffer.concat(share))
      return kept || output.destroyed ? [] : [output]
    })
    if (full.length === 0) done()
    else Promise.all(full.map(drained)).then(() => done(), done)
  }
}

function drained(output: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      output.off('drain', done)
      output.off('close', done)
      resolve()
    }
    output.on('drain', done)
    output.on('close', done)
  })
}

function hashOfKey(bytes: Buffer, start: number, end: number): number {
  let hash = 1
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number
    if (byte === TAB) break
    hash = (Math.imul(31, hash) + ((byte << 24) >> 24)) | 0
  }
  return hash & 0x7fffffff
}
