import type { Batch } from '../core/record.ts'
import type { SourceOptions, SourceReader } from './source.ts'

const BATCH = 512

/** The values of an array, in batches. */
export function openMemorySource(values: readonly unknown[], { name }: SourceOptions): SourceReader {
  let stopped = false
  async function* batches(): AsyncGenerator<Batch> {
    for (let start = 0; start < values.length && !stopped; start += BATCH) {
      yield {
        kind: 'values',
        source: name,
        partition: name,
        values: values.slice(start, start + BATCH),
        positionOf: (index) => start + index,
      }
    }
  }
  return {
    [Symbol.asyncIterator]: batches,
    stop: () => {
      stopped = true
    },
  }
}
