import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as millrace from 'millrace'
import * as testing from 'millrace/testing'
import { expect, it } from 'vitest'
import { program, ROOT, shell, temporaryFolder } from '../support/program.ts'

interface Example {
  readonly where: string
  readonly code: string
  readonly run: boolean
}

const files = (folder: string, ending: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => `${folder}/${file}`)

/** The ```ts blocks of a page. */
function ofPage(path: string): Example[] {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return [...text.matchAll(/^```ts( no-run)?\n([\s\S]*?)^```$/gm)].map(([, noRun, code], i) => ({
    where: `${path} ${i + 1}`,
    code: code as string,
    run: noRun === undefined,
  }))
}

/** The @example blocks of doc comments. */
function ofSource(path: string): Example[] {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const blocks = [...text.matchAll(/^\s*\* ```ts( no-run)?\n([\s\S]*?)^\s*\* ```$/gm)]
  return blocks.map(([, noRun, code], i) => ({
    where: `${path} ${i + 1}`,
    code: (code as string).replace(/^\s*\* ?/gm, ''),
    run: noRun === undefined,
  }))
}

/**
 * What an example leaves out, for brevity: imports from millrace, and the click guard. And `expression // => value` is an assertion.
 */
function complete({ code, run }: Example): string {
  const imported = [...code.matchAll(/import (?:type )?\{([^}]*)\}/g)].flatMap(([, names]) =>
    (names as string).split(',').map((name) => name.trim().replace(/^type /, '')),
  )
  const wanted = [...Object.keys(millrace), 'Stream', 'Aggregate'].filter(
    (name) =>
      new RegExp(`\\b${name}\\b`).test(code) &&
      !imported.includes(name) &&
      !new RegExp(`(const|function) ${name}\\b`).test(code),
  )
  const types = ['Stream', 'Aggregate']
  const kit = Object.keys(testing).filter((name) => new RegExp(`\\b${name}\\(`).test(code) && !imported.includes(name))
  const lines = [
    "import assert from 'node:assert/strict'",
    wanted.length === 0
      ? ''
      : `import { ${wanted.map((name) => (types.includes(name) ? `type ${name}` : name)).join(', ')} } from 'millrace'`,
    kit.length === 0 ? '' : `import { ${kit.join(', ')} } from 'millrace/testing'`,
    // What only an example that is not run can leave out.
    run || imported.length > 0
      ? ''
      : "declare const test: (title: string, run: () => void | Promise<void>) => void\ndeclare const clickstream: import('millrace').Pipeline",
    /\bisClick\b/.test(code) && !code.includes('click.ts')
      ? 'const isClick = (value: unknown): value is { user_id: string } => typeof value === "object" && value !== null && "user_id" in value'
      : '',
    code
      .replace(/^( *)(?!\/\/)(.+?) \/\/ => (.+)$/gm, '$1assert.deepStrictEqual($2, $3)')
      .replace('./pipelines/click.ts', join(ROOT, 'pipelines/click.ts')),
    'void assert',
    'export {}',
  ]
  return lines.join('\n')
}

it('every example in the documentation and in doc comments compiles and runs', async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
  symlinkSync(ROOT, join(folder, 'node_modules/millrace'))
  symlinkSync(join(ROOT, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  // Examples that read or write files find these.
  writeFileSync(join(folder, 'clicks.ndjson'), '{"user_id":"a","action":"b"}\n')
  writeFileSync(join(folder, 'in.ndjson.gz'), '')
  const { compilerOptions } = JSON.parse(readFileSync(join(ROOT, 'tsconfig.json'), 'utf8')) as {
    compilerOptions: Record<string, unknown>
  }
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { ...compilerOptions, noUnusedLocals: false, module: 'nodenext', resolveJsonModule: true },
      include: ['*.ts'],
    }),
  )
  const examples = [
    ...ofPage('README.md'),
    ...files('docs', '.md').flatMap(ofPage),
    ...files('src', '.ts').flatMap(ofSource),
  ]
  expect(examples.length).toBeGreaterThan(45)
  const named = examples.map((example, i) => ({ ...example, file: `example-${i}.ts` }))
  for (const example of named) writeFileSync(join(folder, example.file), complete(example))
  const list = named.filter(({ run }) => run).map(({ file, where }) => [file, where])
  writeFileSync(
    join(folder, 'all.mjs'),
    `for (const [file, where] of ${JSON.stringify(list)}) {
      try { await import('./' + file) } catch (error) { console.log(where + ': ' + error.stack) }
    }
    process.stdin.destroy()`,
  )
  const checked = await shell(`${join(ROOT, 'node_modules/.bin/tsc')} -p tsconfig.json`, { cwd: folder })
  const readable = named.reduce((text, { file, where }) => text.replaceAll(`${file}(`, `${where} (`), checked.stdout)
  expect(readable).toBe('')
  const ran = await program(['all.mjs'], { cwd: folder })
  expect(ran.stdout).toBe('')
  expect(ran.code, ran.stderr).toBe(0)
})

it('every function that is exported shows an example', () => {
  const undocumented = files('src', '.ts').flatMap((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8')
    const names = Object.keys(millrace).filter((name) =>
      new RegExp(`^export (async )?function ${name}\\b`, 'm').test(text),
    )
    return names.filter((name) => {
      const at = text.search(new RegExp(`^export (async )?function ${name}\\b`, 'm'))
      const comment = text.lastIndexOf('/**', at)
      return !text.slice(comment, at).includes('@example')
    })
  })
  expect(undocumented).toEqual([])
})

it('links between pages lead somewhere', () => {
  for (const page of ['README.md', 'CONTRIBUTING.md', ...files('docs', '.md')]) {
    for (const [, link] of readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\(([^)#:]+)\)/g)) {
      expect(() => readFileSync(join(ROOT, dirname(page), link as string)), `${page} → ${link}`).not.toThrow()
    }
  }
})

it('the README’s commands run, with the machine’s own Node first on the PATH', async () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const lines = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
    .flatMap(([, block]) => (block as string).trim().split('\n'))
    .filter((line) => !line.startsWith('npm ci'))
  expect(lines.length).toBeGreaterThan(6)
  const own = (process.env.PATH ?? '')
    .split(':')
    .filter((part) => !part.includes('node_modules'))
    .join(':')
  for (const line of [...lines, 'npm start']) {
    // Shorter than a reader sees it, and otherwise the same.
    const command = line === 'npm run demo' ? `${line} -- --seconds 10` : line
    const out = await shell(`export PATH='${own}'; set -o pipefail; ${command}`)
    expect(out.code, `${line}\n${out.stderr}`).toBe(0)
    expect(out.stdout.length, line).toBeGreaterThan(40)
    expect(out.stderr, line).not.toMatch(/^ {4}at /m)
    if (line === 'npm start') expect(out.stderr).toContain('same bytes as the batch engine: yes')
  }
})
