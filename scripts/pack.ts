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
  // What it needs itself is replaced by a package that is still kept, and that holds only for the project that says so: so it comes along.
  bundleDependencies: ['webhdfs'],
}
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(packed, null, 2)}\n`)
for (const file of ['README.md', 'LICENSE', 'docs']) cpSync(join(root, file), join(dist, file), { recursive: true })
const webhdfs = join(dist, 'node_modules/webhdfs')
for (const path of closureOf('node_modules/webhdfs')) {
  const inside = path === 'node_modules/webhdfs' ? '' : path.replace(/^(node_modules\/webhdfs\/)?/, '')
  cpSync(join(root, path), join(webhdfs, inside), { recursive: true })
}
const answer = execFileSync('npm', ['pack', '--json', '--pack-destination', destination], {
  cwd: dist,
  encoding: 'utf8',
})
const listed = JSON.parse(answer) as { filename: string }[] | Record<string, { filename: string }>
const [made] = Array.isArray(listed) ? listed : Object.values(listed)
process.stdout.write(`${join(destination, made!.filename)}\n`)

/** A package that is installed here and all that it needs, by their places in the lock file. */
function closureOf(place: string, found = new Set<string>()): ReadonlySet<string> {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dependencies?: Record<string, string> }>
  }
  const visit = (at: string): void => {
    if (found.has(at)) return
    found.add(at)
    for (const name of Object.keys(packages[at]?.dependencies ?? {})) {
      // As Node looks for it: inside, then beside, then further up.
      let above = at
      while (above !== '' && packages[`${above}/node_modules/${name}`] === undefined)
        above = above.slice(0, Math.max(0, above.lastIndexOf('node_modules/') - 1))
      visit(above === '' ? `node_modules/${name}` : `${above}/node_modules/${name}`)
    }
  }
  visit(place)
  return found
}
