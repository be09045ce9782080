import { describe, expect, it } from 'vitest'
import { LineCutter } from '../../src/core/line-cutter.ts'
import type { LinePosition } from '../../src/core/record.ts'
import { frameLines } from '../../src/formats/lines.ts'
import { Random } from '../../src/testing/random.ts'

interface Line {
  readonly text: string | undefined
  readonly line: number | undefined
  readonly offset: number
  readonly raw: string
}

/** Every record and every malformed line, in order; each block is used up before the next. */
async function read(
  chunks: readonly Uint8Array[],
  options: { maxLineBytes?: number; offset?: number } = {},
): Promise<Line[]> {
  const lines: Line[] = []
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield* chunks
  }
  for await (const block of frameLines(bytes(), { source: 's', partition: 'p', ...options })) {
    const take = (text: string | undefined, index: number): void => {
      const { line, offset } = block.positionOf(index) as LinePosition
      lines.push({ text, line, offset, raw: Buffer.from(block.rawOf(index)).toString('latin1') })
    }
    block.eachLine(take, (_error, index) => take(undefined, index))
  }
  return lines
}

const texts = async (input: string | Uint8Array): Promise<(string | undefined)[]> =>
  (await read([Buffer.from(input as string)])).map(({ text }) => text)

describe('a line', () => {
  it('ends at LF only, and one CR before it belongs to the end', async () => {
    expect(await texts('a\nb\r\nc\r\r\nd\re\n')).toEqual(['a', 'b', 'c\r', 'd\re'])
  })
  it('is not ended by U+2028, U+2029, U+0085, VT or FF', async () => {
    expect(await texts('a\u2028b\u2029c\u0085d\u000be\u000cf\ng')).toEqual([
      'a\u2028b\u2029c\u0085d\u000be\u000cf',
      'g',
    ])
  })
  it('counts without an LF at the end of the input, where a CR is content', async () => {
    expect(await texts('a\nb\r')).toEqual(['a', 'b\r'])
  })
  it('is no record where it holds only spaces, TABs and CRs', async () => {
    expect((await read([Buffer.from('a\n\n \t\r\n\r\nb\n  ')])).map(({ text, line }) => [text, line])).toEqual([
      ['a', 1],
      ['b', 5],
    ])
  })
  it('is malformed where it is not valid UTF-8, with its bytes and place, and its neighbours are not', async () => {
    const lines = await read([
      Buffer.concat([
        Buffer.from('ok\n'),
        Buffer.from([0x61, 0xff, 0x0a]),
        Buffer.from('é\n'),
        Buffer.from([0xed, 0xa0, 0x80]),
      ]),
    ])
    expect(lines).toEqual([
      { text: 'ok', line: 1, offset: 0, raw: 'ok' },
      { text: undefined, line: 2, offset: 3, raw: 'a\xff' },
      { text: 'é', line: 3, offset: 6, raw: '\xc3\xa9' },
      { text: undefined, line: 4, offset: 9, raw: '\xed\xa0\x80' },
    ])
  })
})

describe('a byte-order mark', () => {
  const mark = '\ufeff'
  it('is ignored at the very start only', async () => {
    expect(await texts(`${mark}a\n${mark}b\n`)).toEqual(['a', `${mark}b`])
    expect(await texts(mark)).toEqual([])
    expect((await read([Buffer.from(`${mark}a\nb\n`)])).map(({ offset }) => offset)).toEqual([3, 5])
  })
  it('is ignored also when it comes byte by byte, and only whole', async () => {
    const bytes = Buffer.from(`${mark}a\n`)
    expect((await read([...bytes].map((byte) => Buffer.from([byte])))).map(({ text }) => text)).toEqual(['a'])
    expect((await read([Buffer.from([0xef]), Buffer.from([0xbb]), Buffer.from([0x0a])])).map(({ raw }) => raw)).toEqual(
      ['\xef\xbb'],
    )
  })
  it('is content where the input does not start at its beginning', async () => {
    expect(
      (await read([Buffer.from(`${mark}a\n`)], { offset: 10 })).map(({ text, line, offset }) => [text, line, offset]),
    ).toEqual([[`${mark}a`, undefined, 10]])
  })
})

describe('a line that is too long', () => {
  it('is malformed wherever the chunks are cut, never held whole, and the next line is right', async () => {
    for (const size of [1, 3, 7, 100, 5000]) {
      const bytes = Buffer.from(`ab\n${'x'.repeat(4000)}\ncd\n${'y'.repeat(3000)}`)
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      )
      const lines = await read(chunks, { maxLineBytes: 50 })
      expect(lines.map(({ text, line, offset }) => [text, line, offset])).toEqual([
        ['ab', 1, 0],
        [undefined, 2, 3],
        ['cd', 3, 4004],
        [undefined, 4, 4007],
      ])
      expect(lines[1]?.raw.length).toBeLessThanOrEqual(5000)
    }
  })
  it('of exactly the limit is not', async () => {
    expect(
      (await read([Buffer.from(`${'x'.repeat(50)}\r\n${'y'.repeat(51)}\n`)], { maxLineBytes: 50 })).map(
        ({ text }) => text?.length,
      ),
    ).toEqual([50, undefined])
  })
})

it('gives the same lines and places for every way to cut the bytes into chunks, and so does the cutter of plain streams', async () => {
  const pieces = ['a', 'é', '\n', '\r\n', '\r', ' ', '\t', '\ufeff', '\u{1f600}', '{"a":1}', '\n\n', '\u2028']
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed)
    const raw = Buffer.concat(
      Array.from({ length: random.below(30) }, () =>
        random.chance(0.05) ? Buffer.from([0xff]) : Buffer.from(random.pick(pieces)),
      ),
    )
    const whole = await read([raw])
    const chunks = random.split([...raw], 1 + random.below(8)).map((part) => Buffer.from(part))
    expect(await read(chunks), `seed ${seed}`).toEqual(whole)
    const cutter = new LineCutter()
    const cut = [...chunks.flatMap((chunk) => cutter.push(chunk)), cutter.end()].filter((line) => line !== undefined)
    expect(
      cut.map((line) => (typeof line === 'string' ? line : undefined)),
      `seed ${seed}`,
    ).toEqual(whole.map(({ text }) => text))
  }
})
