import { createHash } from 'node:crypto'
import { MillraceError } from '../core/errors.ts'

/** The layout of what lies in a store. Raised when an older program could not read it. */
const FORMAT = 1

/**
 * A blob's content with what tells damage: `millrace KIND FORMAT SHA256 LENGTH LF content`. Text, so that people can look.
 */
export function seal(kind: 'head' | 'part', content: string): Buffer {
  const length = Buffer.byteLength(content)
  const headLength = `millrace ${kind} ${FORMAT} ${NO_HASH} ${length}\n`.length
  const blob = Buffer.allocUnsafeSlow(headLength + length)
  blob.write(content, headLength)
  blob.write(`millrace ${kind} ${FORMAT} ${sha256(blob.subarray(headLength))} ${length}\n`, 0, 'latin1')
  return blob
}

const NO_HASH = '0'.repeat(64)

/** The content of a sealed blob; whatever is wrong with it is an error that says what. */
export function unseal(kind: 'head' | 'part', name: string, blob: Uint8Array): string {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength)
  const end = bytes.indexOf(10)
  const [magic, got, format, hash, length] = bytes.subarray(0, Math.max(0, end)).toString('latin1').split(' ')
  if (magic !== 'millrace' || got !== kind) throw damaged(name, `it is no ${kind} of a checkpoint`)
  if (Number(format) > FORMAT) {
    throw damaged(
      name,
      `it has format ${format} and this version knows ${FORMAT} — use the version of Millrace that wrote it, or a newer one`,
    )
  }
  const content = bytes.subarray(end + 1)
  if (content.length !== Number(length))
    throw damaged(name, `it has ${content.length} bytes, and ${length} were written: it was cut or copied half`)
  if (sha256(content) !== hash) throw damaged(name, 'its checksum is wrong: bytes have changed since it was written')
  return content.toString()
}

export function damaged(name: string, why: string): MillraceError {
  return new MillraceError(
    'MLR_ERR_CHECKPOINT_DAMAGED',
    `the checkpoint blob ${name} can't be used: ${why}. Nothing older is used in its place; restore it from a copy, or start again with --fresh`,
  )
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
