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
    const items = output.kind === 'events' ? output.values : output.changes
    let text = ''
    for (const item of items) {
      text +=
        output.kind === 'events'
          ? this.#format.value(item)
          : this.#row(item as { key: unknown; index: number; value: unknown })
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

  #row({ key, index, value }: { key: unknown; index: number; value: unknown }): string {
    return value === undefined ? this.#format.removed(key, index) : this.#format.value(value)
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
