// `npm run pack [-- FOLDER]`: the package as it is published. Node strips no types under node_modules, so what is packed is JavaScript with
// declarations, in dist/ with a package.json of its own. Prints the path of the tarball.
import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const destination = resolve(process.argv[2] ?? '.')

rmSync(dist, { recursive: true, force: true })
execFileSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')],
  { stdio: 'inherit' },
)

const { name, version, description, license, type, dependencies } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
) as Record<string, unknown>
const entry = (path: string): object => ({ types: `./src/${path}.d.ts`, default: `./src/${path}.js` })
const packed = {
  name,
  version,
  description,
  license,
  type,
  engines: { node: '>=24' },
  exports: { '.': entry('index'), './testing': entry('testing/index'), './package.json': './package.json' },
  bin: { millrace: './src/cli/millrace.js' },
  files: ['src', 'docs'],
  dependencies,
}
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(packed, null, 2)}\n`)
for (const file of ['README.md', 'LICENSE', 'docs']) cpSync(join(root, file), join(dist, file), { recursive: true })
const answer = execFileSync('npm', ['pack', '--json', '--pack-destination', destination], {
  cwd: dist,
  encoding: 'utf8',
})
const listed = JSON.parse(answer) as { filename: string }[] | Record<string, { filename: string }>
const [made] = Array.isArray(listed) ? listed : Object.values(listed)
process.stdout.write(`${join(destination, made!.filename)}\n`)
