import { isUtf8 } from 'node:buffer'

const LF = 10
const CR = 13

/**
 * Cuts the chunks of a byte stream into lines, by our rules: a line ends at LF only, one CR before it belongs to the line end, a
 * byte-order mark is ignored at the very start, blank lines are no lines, a last line without LF counts. A line that is valid UTF-8
 * comes as a string, any other as its bytes, for the operator to refuse. Small and plain: sources have a faster way.
 */
export class LineCutter {
  #rest: Buffer[] = []
  #started = false

  push(chunk: Uint8Array | string): (string | Uint8Array)[] {
    const bytes =
      typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const lines: (string | Uint8Array)[] = []
    let from = 0
    for (let end = bytes.indexOf(LF); end !== -1; end = bytes.indexOf(LF, from)) {
      const head = bytes.subarray(from, end)
      from = end + 1
      const whole = this.#rest.length === 0 ? head : Buffer.concat([...this.#rest, head])
      this.#rest = []
      const line = this.#line(whole.at(-1) === CR ? whole.subarray(0, -1) : whole)
      if (line !== undefined) lines.push(line)
    }
    if (from < bytes.length) this.#rest.push(Buffer.from(bytes.subarray(from)))
    return lines
  }

  end(): string | Uint8Array | undefined {
    const rest = Buffer.concat(this.#rest)
    this.#rest = []
    return this.#line(rest)
  }

  #line(bytes: Buffer): string | Uint8Array | undefined {
    const first = !this.#started
    this.#started = true
    const body = first && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes
    if (isBlank(body)) return undefined
    return isUtf8(body) ? body.toString('utf8') : Buffer.from(body)
  }
}

/** Only spaces, TABs and CRs, or nothing. */
export function isBlank(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 32 && byte !== 9 && byte !== CR) return false
  return true
}
