import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as millrace from 'millrace'
import * as testing from 'millrace/testing'
import { expect, it } from 'vitest'
import { ROOT } from '../support/program.ts'

it('exports these values, and no others', () => {
  expect(Object.keys(millrace).sort()).toEqual(
    [
      'ERRORS',
      'MillraceError',
      'aggregate',
      'clicks',
      'collect',
      'combiner',
      'count',
      'countDistinct',
      'earliest',
      'execute',
      'fields',
      'file',
      'filter',
      'flatMap',
      'formatJson',
      'formatTsv',
      'from',
      'hdfs',
      'kafka',
      'keyBy',
      'latest',
      'lines',
      'map',
      'mapAsync',
      'mapper',
      'max',
      'maxBy',
      'mean',
      'memory',
      'min',
      'minBy',
      'mongo',
      'operator',
      'parseJson',
      'pipeline',
      'reduce',
      'reducer',
      'run',
      'sqlite',
      'stateful',
      'stdin',
      'stdout',
      'sum',
      'tap',
      'through',
      'toDuplex',
      'top',
      'union',
      'validate',
    ].sort(),
  )
  expect(Object.keys(testing).sort()).toEqual([
    'Random',
    'aggregateContract',
    'checkContract',
    'operatorContract',
    'sinkContract',
    'sourceContract',
    'storeContract',
    'testDriver',
  ])
})

it('docs/errors.md has a section for every error code, and for no other', () => {
  const page = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8')
  const sections = [...page.matchAll(/^## (MLR_ERR_\w+)$/gm)].map(([, code]) => code)
  expect(sections.sort()).toEqual(Object.keys(millrace.ERRORS).sort())
  for (const [code, meaning] of Object.entries(millrace.ERRORS))
    expect(page, code).toContain(`## ${code}\n\n${meaning[0]?.toUpperCase()}${meaning.slice(1)}.`)
})

it('every error code is used', () => {
  for (const code of Object.keys(millrace.ERRORS)) {
    const users = ['src'].flatMap((folder) => grep(join(ROOT, folder), `'${code}'`))
    expect(users.length, code).toBeGreaterThan(0)
  }
})

function grep(folder: string, text: string): string[] {
  return readdirRecursive(folder).filter(
    (file) => !file.endsWith('core/errors.ts') && readFileSync(file, 'utf8').includes(text),
  )
}

function readdirRecursive(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file))
}
