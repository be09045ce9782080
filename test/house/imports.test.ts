import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../support/program.ts'

/** Imports go down, or stay on their floor. */
const FLOORS: readonly (readonly RegExp[])[] = [
  [/^core\//],
  [/^formats\//, /^aggregates\//, /^operators\//],
  // The contracts of sources, sinks and checkpoints, and what those share.
  [/^sources\//, /^sinks\//, /^checkpoints\//, /^connections\//],
  [/^plan\//],
  [/^runtime\//, /^hadoop\//, /^observe\//],
  [/^ends\.ts$/, /^ends\//, /^end-urls\.ts$/, /^run\.ts$/, /^embed\.ts$/, /^verify\.ts$/, /^cli\//],
  [/^index\.ts$/, /^testing\//],
]
/** What opens a source or a sink: `ends.ts` alone loads it, when it is used. */
const IMPLEMENTATIONS =
  /^(sources\/(file|stdin|memory|clicks|kafka|hdfs)|sinks\/(file|stdout|memory|sqlite|event-files-task|snapshot-file|mongo|kafka|hdfs-place|hdfs-file)|checkpoints\/(directory|mongo|hdfs))\.ts$/

interface Import {
  readonly from: string
  readonly to: string
  readonly lazy: boolean
  readonly typeOnly: boolean
}

const src = join(ROOT, 'src')
const sources = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))

const imports: readonly Import[] = sources.flatMap((from) => {
  const text = readFileSync(join(src, from), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  return [...text.matchAll(/(?:(?:import|export)(\s+type)?[^'"()]*?from\s+|(import)\()'([^']+)'/g)].map(
    ([, type, lazy, to]) => ({
      from,
      to: (to as string).startsWith('.') ? relative(src, resolve(src, from, '..', to as string)) : (to as string),
      lazy: lazy !== undefined,
      typeOnly: type !== undefined,
    }),
  )
})

const floorOf = (file: string): number => FLOORS.findIndex((floor) => floor.some((pattern) => pattern.test(file)))

describe('the house', () => {
  it('has a floor for every file', () => {
    expect(sources.filter((file) => floorOf(file) === -1)).toEqual([])
    expect(imports.length).toBeGreaterThan(200)
  })

  it('imports downward', () => {
    const upward = imports.filter(({ from, to }) => sources.includes(to) && floorOf(to) > floorOf(from))
    // `run` hands the command line to the floor's own cli; the plan draws itself.
    expect(upward.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })

  it('loads what opens an end only in ends.ts, and only when it is used', () => {
    // What is only a type is gone when it runs.
    const wrong = imports.filter(
      ({ from, to, lazy, typeOnly }) =>
        IMPLEMENTATIONS.test(to) && !typeOnly && !(/^ends(\.ts$|\/)/.test(from) && lazy),
    )
    expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })

  it('imports packages that it depends on, and none that only its tests have', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    const packages = new Set(
      imports
        .map(({ to }) => to)
        .filter((to) => !to.startsWith('node:') && !sources.includes(to) && !to.endsWith('.json')),
    )
    expect([...packages].filter((name) => !(name in dependencies))).toEqual([])
    expect(Object.keys(dependencies).filter((name) => !packages.has(name))).toEqual([])
  })

  it('has pipelines and examples that import millrace by its name', () => {
    for (const folder of ['pipelines', 'examples']) {
      for (const file of readdirSync(join(ROOT, folder)).filter((name) => name.endsWith('.ts'))) {
        expect(readFileSync(join(ROOT, folder, file), 'utf8'), `${folder}/${file}`).not.toMatch(/from '\.\.\/src/)
      }
    }
  })

  it('has no default exports, no `any`, and no file that has grown too long', () => {
    for (const file of sources) {
      const text = readFileSync(join(src, file), 'utf8')
      expect(text, file).not.toMatch(/^export default/m)
      expect(text.split('\n').length, `${file} has too many ideas`).toBeLessThan(360)
    }
  })
})
