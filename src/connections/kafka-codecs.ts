import { promisify } from 'node:util'
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib'
import { MillraceError, reasonOf } from '../core/errors.ts'

/** What a batch may unpack to: a megabyte of zip bomb holds a gigabyte. The broker bounds only what is packed (1 MB by default). */
const MOST_BYTES = 256 * 1024 * 1024
/** What xerial's Snappy, which Java's clients use, puts before its blocks: a magic, its version and the oldest one that reads it. */
const XERIAL = Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0, 0, 0, 0, 1, 0, 0, 0, 1])
const XERIAL_BLOCK = 32 * 1024

export type KafkaCodec = 'gzip' | 'snappy' | 'lz4' | 'zstd'

const unpackers: Readonly<Record<KafkaCodec, (bytes: Buffer) => Promise<Buffer>>> = {
  gzip: (bytes) => promisify(gunzip)(bytes, { maxOutputLength: MOST_BYTES }),
  zstd: (bytes) => promisify(zstdDecompress)(bytes, { maxOutputLength: MOST_BYTES }),
  snappy: unsnappy,
  // A byte of LZ4 stands for 255 at most.
  lz4: async (bytes) => (await wasm()).lz4Decompress(bytes),
}
const packers: Readonly<Record<KafkaCodec, (bytes: Buffer) => Promise<Buffer>>> = {
  gzip: (bytes) => promisify(gzip)(bytes),
  zstd: (bytes) => promisify(zstdCompress)(bytes),
  snappy: snappy,
  lz4: async (bytes) => (await wasm()).lz4Compress(bytes),
}

/** The records of a packed batch. */
export async function bytesOfKafkaBatch(codec: KafkaCodec, packed: Buffer): Promise<Buffer> {
  try {
    return await unpackers[codec](packed)
  } catch (error) {
    const tooLarge = (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
    throw new MillraceError(
      'MLR_ERR_INPUT_COMPRESSED',
      tooLarge
        ? `a batch of ${packed.length} bytes (${codec}) unpacks to more than ${MOST_BYTES / 1024 / 1024} MB`
        : `a batch of records is damaged (${codec}): ${reasonOf(error)}`,
      { cause: error },
    )
  }
}

/** The opposite. */
export function packedKafkaBatch(codec: KafkaCodec, records: Buffer): Promise<Buffer> {
  return packers[codec](records)
}

/** Loaded when first used: most topics have another codec or none. */
const wasm = () => import('@platformatic/wasm-utils')

/** As Java's clients frame it, or bare, as others write it. */
async function unsnappy(bytes: Buffer): Promise<Buffer> {
  const { snappyDecompress } = await wasm()
  if (!bytes.subarray(0, 8).equals(XERIAL.subarray(0, 8))) return snappyDecompress(bytes)
  const blocks: Buffer[] = []
  for (let at = XERIAL.length; at < bytes.length; ) {
    const length = bytes.readInt32BE(at)
    blocks.push(Buffer.from(snappyDecompress(bytes.subarray(at + 4, at + 4 + length))))
    at += 4 + length
  }
  return Buffer.concat(blocks)
}

async function snappy(bytes: Buffer): Promise<Buffer> {
  const { snappyCompress } = await wasm()
  const parts: Buffer[] = [XERIAL]
  for (let at = 0; at < bytes.length; at += XERIAL_BLOCK) {
    const block = Buffer.from(snappyCompress(bytes.subarray(at, at + XERIAL_BLOCK)))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}
