import { writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MillraceError, reasonOf } from '../core/errors.ts'

const OLDEST_NODE = 24
const SRC = fileURLToPath(new URL('..', import.meta.url))

/** The files that a worker needs to play a pipeline's roles: they hold the module, Millrace, and every package that they use. */
export interface Bundle {
  /** The one to start; it starts the other one. */
  readonly entry: string
  readonly files: readonly string[]
}

/** Bundles a module into a folder. Servers' clients stay out: a role reads stdin and writes stdout. */
export async function bundle(module: string, pipeline: string, folder: string): Promise<Bundle> {
  const { build } = await import('esbuild')
  const worker = join(SRC, 'cli', `worker${extname(import.meta.url)}`)
  const code = join(folder, 'millrace-roles.mjs')
  const entry = join(folder, 'millrace-job.mjs')
  try {
    await build({
      stdin: {
        contents: `import * as module from ${JSON.stringify(module)}
import { work } from ${JSON.stringify(worker)}
await work(module, ${JSON.stringify(pipeline)}, process.argv.slice(2))
`,
        resolveDir: SRC,
        sourcefile: 'millrace-job.ts',
        loader: 'ts',
      },
      bundle: true,
      outfile: code,
      platform: 'node',
      format: 'esm',
      target: `node${OLDEST_NODE}`,
      // Else every pipeline module that is imported would run.
      define: { 'import.meta.main': 'false' },
      // Packages in the old form ask for Node's own modules so.
      banner: {
        js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
      },
      keepNames: true,
      legalComments: 'none',
      logLevel: 'silent',
      plugins: [
        {
          name: 'ends stay out',
          setup: ({ onResolve }) => {
            // What Millrace loads only when it is used opens sources and sinks, and no role does that.
            onResolve({ filter: /./ }, ({ kind, importer, path }) =>
              kind === 'dynamic-import' && importer.startsWith(SRC) ? { path, external: true } : undefined,
            )
          },
        },
      ],
    })
  } catch (error) {
    throw new MillraceError('MLR_ERR_USAGE', `cannot bundle ${module}: ${reasonOf(error)}`, { cause: error })
  }
  await writeFile(
    entry,
    `const [major] = process.versions.node.split('.')
if (Number(major) < ${OLDEST_NODE}) {
  console.error('this worker has Node ' + process.versions.node + ', and Millrace needs ${OLDEST_NODE} or newer: submit with --node ship, or name another one with --node PATH')
  process.exit(1)
}
// Hadoop links the job's files into the task's folder, and each lies somewhere else.
await import(new URL('millrace-roles.mjs', 'file://' + encodeURI(process.cwd()) + '/'))
`,
  )
  return { entry, files: [entry, code] }
}
