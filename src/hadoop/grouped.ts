import type { AnyAggregate } from '../core/aggregate.ts'
import { MillraceError, shorten } from '../core/errors.ts'
import { type Key, parseKey } from '../core/key.ts'
import type { LineBatch } from '../core/record.ts'
import { decodeWire, parseWireLine } from './wire.ts'

/**
 * Merges the accumulators of lines that come sorted by key: one call of `each` a key. Holds one accumulator at a time. Keys that come
 * back after others are told: such input was not sorted, or not by bytes.
 */
export class SortedMerge {
  readonly #aggregate: AnyAggregate
  readonly #each: (key: Key, accumulator: unknown) => void
  #keyText: string | undefined
  #accumulator: unknown
  #line = 0

  constructor(aggregate: AnyAggregate, each: (key: Key, accumulator: unknown) => void) {
    this.#aggregate = aggregate
    this.#each = each
  }

  get lines(): number {
    return this.#line
  }

  take(block: LineBatch): void {
    block.eachLine(
      (line) => {
        this.#line++
        const pair = parseWireLine(line, this.#line)
        const accumulator = decodeWire(this.#aggregate, pair, this.#line)
        if (pair.keyText === this.#keyText) {
          this.#accumulator = this.#aggregate.merge(this.#accumulator, accumulator)
          return
        }
        this.#finishKey()
        this.#keyText = pair.keyText
        this.#accumulator = accumulator
      },
      (error) => {
        throw error
      },
    )
  }

  end(): void {
    this.#finishKey()
  }

  #finishKey(): void {
    if (this.#keyText === undefined) return
    let key: Key
    try {
      key = parseKey(this.#keyText)
    } catch (error) {
      throw new MillraceError('MLR_ERR_WIRE', `a key of the input is no JSON text: ${shorten(this.#keyText)}`, {
        cause: error,
      })
    }
    this.#each(key, this.#accumulator)
    this.#keyText = undefined
  }
}
