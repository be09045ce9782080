import type { Writable } from 'node:stream'
import type { TextWriter } from '../formats/format.ts'
import type { Output } from './sink.ts'

const CHUNK_CHARACTERS = 64 * 1024

/**
 * Writes values as text to a Node stream and holds the caller back while the stream is full: at most one chunk waits.
 * `failure` tells an error that the stream has had, if any.
 */
export class TextOutput {
  readonly #stream: Writable
  readonly #format: TextWriter
  #error: Error | undefined
  #wake: (() => void) | undefined
  /** Values and rows that were written. */
  written = 0

  constructor(stream: Writable, format: TextWriter) {
    this.#stream = stream
    this.#format = format
    stream.on('error', (error) => {
      this.#error ??= error
      this.#wake?.()
    })
    stream.on('drain', () => this.#wake?.())
    stream.on('close', () => this.#wake?.())
  }

  async write(output: Output): Promise<void> {
    let text = ''
    for (const piece of this.#texts(output)) {
      text += piece
      this.written++
      if (text.length >= CHUNK_CHARACTERS) {
        await this.#send(text)
        text = ''
      }
    }
    await this.#send(text)
  }

  async end(): Promise<void> {
    await this.#send(this.#format.end())
  }

  check(): void {
    if (this.#error !== undefined) throw this.#error
  }

  *#texts(output: Output): Generator<string> {
    if (output.kind === 'events') for (const value of output.values) yield this.#format.value(value)
    else for (const { key, index, value } of output.changes) yield this.#format.row(key, index, value)
  }

  async #send(text: string): Promise<void> {
    this.check()
    if (text === '' || this.#stream.write(text)) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (this.#error !== undefined || this.#stream.destroyed) resolve()
    })
    this.check()
  }
}
