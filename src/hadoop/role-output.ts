import type { Writable } from 'node:stream'
import { stdoutError } from '../sinks/standard-output.ts'

const CHUNK_CHARACTERS = 64 * 1024

/** Standard output of a role: lines in, chunks out, and `drain` holds the role back while the next process is slower. */
export class RoleOutput {
  readonly #stream: Writable
  #text = ''
  #error: unknown

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('error', (error) => {
      this.#error ??= error
    })
  }

  readonly line = (line: string): void => {
    this.#text += line
  }

  /** Call between batches. */
  async drain(): Promise<void> {
    if (this.#text.length >= CHUNK_CHARACTERS) await this.#send()
  }

  async end(): Promise<void> {
    await this.#send()
    await new Promise<void>((resolve) => this.#stream.write('', () => resolve()))
    this.#check()
  }

  async #send(): Promise<void> {
    this.#check()
    const text = this.#text
    this.#text = ''
    if (text === '' || this.#stream.write(text)) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#stream.off('drain', done)
        this.#stream.off('error', done)
        this.#stream.off('close', done)
        resolve()
      }
      this.#stream.on('drain', done)
      this.#stream.on('error', done)
      this.#stream.on('close', done)
    })
    this.#check()
  }

  #check(): void {
    if (this.#error !== undefined) throw stdoutError(this.#error)
  }
}
