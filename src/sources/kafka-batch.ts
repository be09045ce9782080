import { isAscii, isUtf8 } from 'node:buffer'
import type { KafkaMessage } from 'kafkajs'
import { MillraceError } from '../core/errors.ts'
import type { LineBatch } from '../core/record.ts'

const LF = 10

/** Where a source goes on in a partition, and in which topic of that name. */
export interface KafkaPosition {
  readonly offset: number
  /** The topic's id. */
  readonly topic: string
}

/**
 * Records of one partition as lines of text: their values. Joined they can be parsed at once, as a block of a file can. A record without a
 * value (a tombstone) and one that is not valid UTF-8 are malformed.
 */
export class KafkaBatch implements LineBatch {
  readonly kind = 'lines'
  readonly source: string
  readonly partition: string
  readonly #messages: readonly KafkaMessage[]
  readonly #next: KafkaPosition

  constructor(from: {
    readonly source: string
    readonly partition: string
    readonly messages: readonly KafkaMessage[]
    readonly next: KafkaPosition
  }) {
    this.source = from.source
    this.partition = from.partition
    this.#messages = from.messages
    this.#next = from.next
  }

  get length(): number {
    return this.#messages.length
  }

  get resume(): { readonly partition: string; readonly position: KafkaPosition } {
    return { partition: this.partition, position: this.#next }
  }

  get text(): string | undefined {
    const messages = this.#messages
    let length = messages.length - 1
    for (const { value } of messages) {
      // A value of blanks would not count as a record.
      if (value === null || value.length === 0 || (value[0] as number) <= 32) return undefined
      length += value.length
    }
    if (length < 0) return undefined
    const joined = Buffer.allocUnsafe(length)
    let at = 0
    for (const { value } of messages) {
      if (at > 0) joined[at++] = LF
      at += (value as Buffer).copy(joined, at)
    }
    // A value with a line end inside is more than one line.
    let lines = 1
    for (let end = joined.indexOf(LF); end !== -1; end = joined.indexOf(LF, end + 1)) lines++
    if (lines !== messages.length) return undefined
    if (isAscii(joined)) return joined.toString('latin1')
    return isUtf8(joined) ? joined.toString('utf8') : undefined
  }

  hasLineOver(bytes: number): boolean {
    return this.#messages.some(({ value }) => value !== null && value.length > bytes)
  }

  setLineCount(): void {}

  eachLine(visit: (line: string, index: number) => void, malformed: (error: Error, index: number) => void): number {
    const messages = this.#messages
    for (let i = 0; i < messages.length; i++) {
      const value = messages[i]?.value ?? null
      if (value === null)
        malformed(new MillraceError('MLR_ERR_LINE_UTF8', 'the record has no value: it is a tombstone'), i)
      else if (!isUtf8(value)) malformed(new MillraceError('MLR_ERR_LINE_UTF8', 'not valid UTF-8'), i)
      else visit(value.toString('utf8'), i)
    }
    return messages.length
  }

  positionOf(index: number): number {
    return Number(this.#messages[index]?.offset)
  }

  timestampOf(index: number): number {
    return Number(this.#messages[index]?.timestamp)
  }

  keyOf(index: number): Uint8Array | undefined {
    return this.#messages[index]?.key ?? undefined
  }

  headersOf(index: number): ReadonlyMap<string, Uint8Array> {
    const entries = Object.entries(this.#messages[index]?.headers ?? {}).flatMap(([name, value]) => {
      const last = Array.isArray(value) ? value.at(-1) : value
      return last === undefined ? [] : [[name, Buffer.from(last)] as const]
    })
    return new Map(entries)
  }

  rawOf(index: number): Uint8Array | undefined {
    return this.#messages[index]?.value ?? undefined
  }
}
