import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ROOT, shell } from '../support/program.ts'

const tsc = join(ROOT, 'node_modules/.bin/tsc')

it('what must compile compiles, and what must not does not', async () => {
  const out = await shell(`${tsc} -p .`)
  expect(out.stdout).toBe('')
  expect(out.code).toBe(0)
})

it('tsc points at the line of the wrong operator', async () => {
  const path = join(ROOT, 'test/types/broken/wrong-operator.ts')
  const config = join(ROOT, 'test/types/broken/tsconfig.json')
  const { compilerOptions } = JSON.parse(readFileSync(join(ROOT, 'tsconfig.json'), 'utf8')) as {
    compilerOptions: object
  }
  const wanted = JSON.stringify({ compilerOptions, files: ['wrong-operator.ts'] })
  expect(JSON.parse(readFileSync(config, 'utf8'))).toEqual(JSON.parse(wanted))
  const out = await shell(`${tsc} -p ${config}`)
  const line =
    readFileSync(path, 'utf8')
      .split('\n')
      .findIndex((text) => text.includes('.pipe(keyBy((click: Click)')) + 1
  expect(out.stdout.split('\n').filter((text) => text.startsWith('test/types/broken'))).toEqual([
    expect.stringContaining(`wrong-operator.ts(${line},`),
  ])
})
