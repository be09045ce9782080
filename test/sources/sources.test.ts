import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { clicks, execute, file, from, memory, pipeline, type Source, stdout } from 'millrace'
import { sourceContract } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { sourceOfUrl } from '../../src/end-urls.ts'
import { intoArray } from '../support/into-array.ts'
import { temporaryFolder } from '../support/program.ts'

const LINES = Array.from({ length: 30_000 }, (_, i) => `line ${i} ${'é'.repeat(i % 20)}`)
const BYTES = Buffer.from(`\ufeff${LINES.join('\r\n')}`)

function files(make: (folder: string) => string): () => Source<string> {
  return () => file(make(temporaryFolder()))
}
const written = (folder: string, name: string, bytes: Uint8Array): string => {
  writeFileSync(join(folder, name), bytes)
  return join(folder, name)
}
/** Nothing in Node packs so; Python does. */
const bzip2Sync = (bytes: Uint8Array): Buffer =>
  execFileSync('python3', ['-c', 'import bz2, sys; sys.stdout.buffer.write(bz2.compress(sys.stdin.buffer.read()))'], {
    input: bytes,
    maxBuffer: 1e9,
  })
const parts = (folder: string): string => {
  const half = BYTES.indexOf('\n', BYTES.length / 2) + 1
  written(folder, 'part-00001.zst', zstdCompressSync(BYTES.subarray(half)))
  written(folder, 'part-00000.gz', gzipSync(BYTES.subarray(0, half)))
  written(folder, '_SUCCESS', Buffer.alloc(0))
  written(folder, '.hidden', Buffer.from('hidden'))
  mkdirSync(join(folder, 'below'))
  return folder
}

// Positions name the file, and each opening of these has a folder of its own.
const once = <T>(make: () => T): (() => T) => {
  let made: T | undefined
  return () => (made ??= make())
}

describe.each([
  ['a file', (folder: string) => written(folder, 'in', BYTES)],
  ['a gzip file', (folder: string) => written(folder, 'in.gz', gzipSync(BYTES))],
  [
    'a gzip file of several members',
    (folder: string) =>
      written(folder, 'in.gz', Buffer.concat([gzipSync(BYTES.subarray(0, 1000)), gzipSync(BYTES.subarray(1000))])),
  ],
  ['a zstd file', (folder: string) => written(folder, 'in.ZST', zstdCompressSync(BYTES))],
  ['a bzip2 file', (folder: string) => written(folder, 'in.bz2', bzip2Sync(BYTES))],
  [
    'a bzip2 file of several streams, as parallel packers write it',
    (folder: string) =>
      written(folder, 'in.bz2', Buffer.concat([bzip2Sync(BYTES.subarray(0, 1000)), bzip2Sync(BYTES.subarray(1000))])),
  ],
  ['a folder', parts],
  ['a glob', (folder: string) => `${parts(folder)}/part-*`],
])('%s', (name, make) => {
  for (const { title, run } of sourceContract({ name, make: () => once(files(make))(), expected: LINES })) {
    // Opened again it must be the same files.
    if (title.includes('opened again')) {
      it(title, async () => {
        const source = files(make)()
        for (const again of sourceContract({ name, make: () => source, expected: LINES }))
          if (again.title === title) await again.run()
      })
    } else it(title, run)
  }
})

describe('memory', () => {
  const values = Array.from({ length: 2000 }, (_, i) => ({ i }))
  for (const { title, run } of sourceContract({ name: 'memory', make: () => memory(values), expected: values }))
    it(title, run)
})

describe('clicks', () => {
  const first: string[] = []
  it('gives 84 bytes a line, the same for the same seed, others for another', async () => {
    await execute(pipeline('p', from(clicks({ count: 3000, seed: 4 })).to(intoArray(first))))
    const again: string[] = []
    await execute(pipeline('p', from(sourceOfUrl('clicks:?count=3000&seed=4')).to(intoArray(again))))
    const other: string[] = []
    await execute(pipeline('p', from(clicks({ count: 3000, seed: 5 })).to(intoArray(other))))
    expect(new Set(first.map((line) => line.length + 1))).toEqual(new Set([84]))
    expect(again).toEqual(first)
    expect(other).not.toEqual(first)
    for (const { title, run } of sourceContract({
      name: 'clicks',
      make: () => clicks({ count: 3000, seed: 4 }),
      expected: first,
    }))
      await expect(run(), title).resolves.toBeUndefined()
  })

  it('refuses options that make no sense', () => {
    expect(() => clicks({ count: -1 })).toThrow('count must be a number of at least 0')
    expect(() => sourceOfUrl('clicks:?cuont=1')).toThrow('clicks: has no string "cuont"; it has count')
    expect(() => sourceOfUrl('clicks:?count=x')).toThrow('count must be a number')
  })
})

describe('an input that is not as it should be', () => {
  const run = async (path: string): Promise<unknown> => {
    const out: unknown[] = []
    await execute(pipeline('p', from(file(path)).to(intoArray(out))))
    return out
  }
  it.each([
    [
      'is missing',
      (folder: string) => join(folder, 'none'),
      'MLR_ERR_INPUT_MISSING',
      'there is no file or folder string "',
    ],
    ['matches nothing', (folder: string) => join(folder, '*.ndjson'), 'MLR_ERR_INPUT_MISSING', 'no file matches'],
    ['is an empty folder', (folder: string) => folder, 'MLR_ERR_INPUT_MISSING', 'holds no files to read'],
    [
      'is a truncated gzip file',
      (folder: string) => written(folder, 'a.gz', gzipSync(BYTES).subarray(0, 9000)),
      'MLR_ERR_INPUT_COMPRESSED',
      'a.gz is damaged or cut short: unexpected end of file after',
    ],
    [
      'is no gzip file',
      (folder: string) => written(folder, 'a.gz', Buffer.from('plain')),
      'MLR_ERR_INPUT_COMPRESSED',
      'incorrect header check',
    ],
    [
      'is a truncated zstd file',
      (folder: string) => written(folder, 'a.zst', zstdCompressSync(BYTES).subarray(0, 5000)),
      'MLR_ERR_INPUT_COMPRESSED',
      'a.zst is damaged or cut short',
    ],
    [
      'is a truncated bzip2 file',
      (folder: string) => written(folder, 'a.bz2', bzip2Sync(BYTES).subarray(0, 5000)),
      'MLR_ERR_INPUT_COMPRESSED',
      'a.bz2 is damaged or cut short',
    ],
    [
      'is a damaged bzip2 file',
      (folder: string) => {
        const bytes = bzip2Sync(BYTES)
        bytes[5000] = (bytes[5000] as number) ^ 1
        return written(folder, 'a.bz2', bytes)
      },
      'MLR_ERR_INPUT_COMPRESSED',
      'crc32 do not match',
    ],
    ['cannot be read', () => '/proc/self/mem', 'MLR_ERR_INPUT_READ', 'cannot read /proc/self/mem: EIO'],
  ])('%s: says so', async (_name, make, code, text) => {
    await expect(run(make(temporaryFolder()))).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(text) }),
    )
  })

  it('is empty: no records, no error', async () => {
    expect(await run(written(temporaryFolder(), 'empty', Buffer.alloc(0)))).toEqual([])
    expect(await run(written(temporaryFolder(), 'empty.gz', gzipSync('')))).toEqual([])
    expect(await run(written(temporaryFolder(), 'empty.bz2', bzip2Sync(Buffer.alloc(0))))).toEqual([])
  })

  it('is one file under two names: read twice, as it is named twice', async () => {
    const folder = temporaryFolder()
    symlinkSync(written(folder, 'a', Buffer.from('x\n')), join(folder, 'b'))
    expect(await run(folder)).toEqual(['x', 'x'])
  })

  it('has a suffix that only promises packing: an output is refused before anything is read', async () => {
    for (const name of ['out.bz2', 'out.xz', 'OUT.LZ4'])
      await expect(execute(pipeline('p', from(memory(['x'])).to(file(join(temporaryFolder(), name)))))).rejects.toThrow(
        expect.objectContaining({ code: 'MLR_ERR_USAGE', message: expect.stringContaining('.gz or .zst') }),
      )
  })

  it('leaves no output behind', async () => {
    const folder = temporaryFolder()
    await expect(
      execute(pipeline('p', from(file(join(folder, 'none'))).to(file(join(folder, 'out'))))),
    ).rejects.toThrow('there is no file')
    await expect(execute(pipeline('p', from(file('/dev/null')).to(file(join(folder, 'no', 'out')))))).rejects.toThrow(
      expect.objectContaining({ code: 'MLR_ERR_OUTPUT_WRITE' }),
    )
  })
})

it('ends of other systems are refused by name, without the password', () => {
  expect(() => sourceOfUrl('mongodb://me:secret@host/db')).toThrow(
    "mongodb://me:***@host/db: this version has no ends for 'mongodb:'",
  )
  expect(sourceOfUrl('./kafka:x').source.label).toBe('file ./kafka:x')
  expect(stdout().sink.label).toBe('stdout (json)')
})
