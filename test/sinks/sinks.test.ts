import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { execute, file, from, memory, pipeline } from 'millrace'
import { sinkContract } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/program.ts'

const json = (text: string): unknown[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown)

describe.each([
  ['a file', 'out.ndjson', (bytes: Buffer) => bytes],
  ['a gzip file', 'out.ndjson.gz', (bytes: Buffer) => gunzipSync(bytes)],
  ['a zstd file', 'out.ndjson.zst', (bytes: Buffer) => zstdDecompressSync(bytes)],
])('%s', (name, path, unpack) => {
  const make = async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
    const full = join(folder, path)
    return {
      sink: file(full),
      read: async () => {
        // Whatever it holds, nothing temporary is left.
        expect(readdirSync(folder).filter((entry) => entry !== path)).toEqual([])
        return existsSync(full) ? json(unpack(readFileSync(full)).toString()) : undefined
      },
    }
  }
  for (const { title, run } of sinkContract({ name, make })) it(title, run)
})

describe('memory', () => {
  const make = async () => {
    const into: unknown[] = []
    return { sink: memory(into), read: async () => into }
  }
  for (const { title, run } of sinkContract({ name: 'memory', make })) it(title, run)
})

it('a file that is there is replaced as a whole, when the run has ended well', async () => {
  const path = join(temporaryFolder(), 'out')
  writeFileSync(path, 'before')
  const before = statSync(path).ino
  await execute(pipeline('p', from(memory([1])).to(file(path))))
  expect(readFileSync(path, 'utf8')).toBe('1\n')
  expect(statSync(path).ino).not.toBe(before)
})
