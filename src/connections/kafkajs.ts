import { createRequire } from 'node:module'
import type kafkajsPackage from 'kafkajs'
import type { KafkaMessage } from 'kafkajs'
import { bytesOfKafkaBatch, type KafkaCodec, packedKafkaBatch } from './kafka-codecs.ts'

const require = createRequire(import.meta.url)

/**
 * kafkajs with its traps closed. Nothing else here imports its values: its own modules must find what is mended when they are loaded, so it is
 * mended before. (A program that has loaded kafkajs by itself before has one that filters aborted records as kafkajs does.)
 */
mend('kafkajs/src/consumer/filterAbortedMessages', withoutAborted)
mend('kafkajs/src/protocol/requests/fetch/v4/decodeMessages', decodeMessages)
const kafkajs = require('kafkajs') as typeof kafkajsPackage
healRequestQueue()
for (const name of ['GZIP', 'Snappy', 'LZ4', 'ZSTD'] as const) {
  const codec = name.toLowerCase() as KafkaCodec
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes[name]] = () => ({
    compress: ({ buffer }: { readonly buffer: Buffer }) => packedKafkaBatch(codec, buffer),
    decompress: (buffer: Buffer) => bytesOfKafkaBatch(codec, buffer),
  })
}

export { kafkajs }

function mend(path: string, value: unknown): void {
  require(path)
  const loaded = require.cache[require.resolve(path)]
  if (loaded !== undefined) loaded.exports = value
}

interface FetchedMessage extends Pick<KafkaMessage, 'key' | 'offset'> {
  readonly isControlRecord: boolean
  readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean }
}

const ABORT = 0

/**
 * What is left of fetched messages without those of aborted transactions. kafkajs takes every record with a key of four zero bytes (the number 0,
 * to Java's IntegerSerializer) for the mark that ends an aborted transaction: it would hand out that record, and all that come after it.
 */
function withoutAborted({
  messages,
  abortedTransactions,
}: {
  readonly messages: readonly FetchedMessage[]
  readonly abortedTransactions: readonly { readonly firstOffset: string; readonly producerId: string }[] | null
}): readonly FetchedMessage[] {
  if (abortedTransactions === null || abortedTransactions.length === 0) return messages
  const begins = abortedTransactions
    .map(({ firstOffset, producerId }) => ({ producerId, first: Number(firstOffset) }))
    .sort((a, b) => a.first - b.first)
  const aborting = new Set<string>()
  let next = 0
  return messages.filter(({ key, offset, isControlRecord, batchContext }) => {
    for (; next < begins.length && (begins[next]?.first as number) <= Number(offset); next++)
      aborting.add(begins[next]?.producerId as string)
    if (isControlRecord) {
      // Version, then type.
      if (key !== null && key.length >= 4 && key.readInt16BE(2) === ABORT) aborting.delete(batchContext.producerId)
      return true
    }
    return !(batchContext.inTransaction && aborting.has(batchContext.producerId))
  })
}

interface Decoder {
  readInt32(): number
  readBytes(length: number): Buffer
  canReadBytes(length: number): boolean
}

/** kafkajs's own, but that it hands a batch's records over as arguments of one call: some 125,000 are more than the stack takes. */
async function decodeMessages(decoder: Decoder): Promise<readonly unknown[]> {
  const bytes = decoder.readInt32()
  if (bytes <= 0 || !decoder.canReadBytes(bytes)) return []
  const buffer = decoder.readBytes(bytes)
  const messages = new parts.Decoder(buffer)
  if (buffer.readInt8(MAGIC_AT) !== MAGIC_OF_BATCHES) return parts.decodeMessageSet(messages, bytes)
  let records: unknown[] = []
  while (messages.canReadBytes(LEAST_OF_BATCH)) {
    try {
      const batch = await parts.decodeBatch(messages)
      if (records.length === 0) records = batch.records
      else for (const record of batch.records) records.push(record)
    } catch (error) {
      // The answer is cut where the broker had no more room.
      if ((error as Error).name === 'KafkaJSPartialMessageError') break
      throw error
    }
  }
  return records
}

const [MAGIC_AT, MAGIC_OF_BATCHES, LEAST_OF_BATCH] = [16, 2, 49]
const parts = {
  Decoder: require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => Decoder,
  decodeMessageSet: require('kafkajs/src/protocol/messageSet/decoder') as (
    decoder: Decoder,
    bytes: number,
  ) => Promise<unknown[]>,
  decodeBatch: require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
    decoder: Decoder,
  ) => Promise<{ readonly records: unknown[] }>,
}

/**
 * kafkajs looks for throttled requests in a timer of one millisecond, for ever: 2,500 times a second on an idle connection. It need look only
 * while something waits, and not before the throttling ends.
 */
function healRequestQueue(): void {
  const RequestQueue = require('kafkajs/src/network/requestQueue') as { prototype: RequestQueueParts }
  RequestQueue.prototype.scheduleCheckPendingRequests = function schedule(this: RequestQueueParts): void {
    if (this.throttleCheckTimeoutId || this.pending.length === 0) return
    const wait = this.throttledUntil - Date.now()
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null
        this.checkPendingRequests()
      },
      wait > 0 ? wait : 10,
    )
  }
}

interface RequestQueueParts {
  throttleCheckTimeoutId: NodeJS.Timeout | null
  readonly pending: readonly unknown[]
  readonly throttledUntil: number
  scheduleCheckPendingRequests(): void
  checkPendingRequests(): void
}
