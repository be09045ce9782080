import type { ReadStream } from 'node:fs'
import type { Batch } from '../core/record.ts'
import { frameLines } from '../formats/lines.ts'
import { findInputFiles, type InputFile, readInputFile } from './input-files.ts'
import type { SourceOptions, SourceReader } from './source.ts'

/** Opens a file, folder or glob as lines: one file after the other, each a partition, in the order of their names' bytes. */
export async function openFileSource(
  path: string,
  options: SourceOptions & { maxLineBytes?: number | undefined },
): Promise<SourceReader> {
  return new FileReader(await findInputFiles(path), options)
}

class FileReader implements SourceReader {
  readonly #files: readonly InputFile[]
  readonly #options: SourceOptions & { maxLineBytes?: number | undefined }
  readonly #totalBytes: number
  #doneBytes = 0
  #current: ReadStream | undefined
  #stopped = false

  constructor(files: readonly InputFile[], options: SourceOptions & { maxLineBytes?: number | undefined }) {
    this.#files = files
    this.#options = options
    this.#totalBytes = files.reduce((sum, file) => sum + file.bytes, 0)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    const { name, maxLineBytes } = this.#options
    for (const file of this.#files) {
      if (this.#stopped) return
      const chunks = readInputFile(file, {
        opened: (stream) => {
          this.#current = stream
        },
      })
      try {
        yield* frameLines(chunks, {
          source: name,
          partition: file.path,
          ...(maxLineBytes === undefined ? {} : { maxLineBytes }),
        })
      } catch (error) {
        if (!this.#stopped) throw error
      }
      this.#doneBytes += file.bytes
      this.#current = undefined
    }
  }

  progress(): { doneBytes: number; totalBytes: number } {
    return { doneBytes: this.#doneBytes + (this.#current?.bytesRead ?? 0), totalBytes: this.#totalBytes }
  }

  stop(): void {
    this.#stopped = true
    this.#current?.destroy()
  }
}
