import { Transform } from 'node:stream'

const LF = 10
const TAB = 9

/** `key TAB text` lines → their texts, as bytes. */
export function withoutKeys(): Transform {
  let rest: Buffer = Buffer.alloc(0)
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const texts: Buffer[] = []
      let start = 0
      for (let end = bytes.indexOf(LF); end !== -1; end = bytes.indexOf(LF, start)) {
        texts.push(bytes.subarray(bytes.indexOf(TAB, start) + 1, end + 1))
        start = end + 1
      }
      rest = Buffer.from(bytes.subarray(start))
      done(null, Buffer.concat(texts))
    },
  })
}
