#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { MillraceError, reasonOf } from '../core/errors.ts'
import { isPipeline, type Pipeline } from '../plan/pipeline.ts'
import { fail } from './fail.ts'
import { isCommand, VERSION } from './help.ts'
import { main } from './main.ts'

const USAGE = `Usage: millrace COMMAND MODULE [options]

MODULE is a file that exports a pipeline, as pipelines/clickstream.ts.
Does the same as: node MODULE COMMAND [options], also where the node on the
PATH is older than Millrace needs.

Commands: run, batch, hadoop, verify, describe, checkpoints, map, combine,
reduce; each has --help.
  --pipeline NAME   which pipeline, where the module exports several
  --version
`

/** `millrace COMMAND MODULE …`: loads the module and does what it would do as main. */
async function millrace(argv: readonly string[]): Promise<void> {
  const [command, module, ...rest] = argv
  if (command === undefined || command === '--help' || command === '-h' || command === 'help') {
    process.stdout.write(USAGE)
    return
  }
  if (command === '--version') {
    process.stdout.write(`${VERSION}\n`)
    return
  }
  if (!isCommand(command))
    throw new MillraceError('MLR_ERR_USAGE', `there is no command '${command}'; see millrace --help`)
  if (module === '--help' || module === '-h') {
    const { helpOf } = await import('./help.ts')
    process.stdout.write(helpOf(command))
    return
  }
  if (module === undefined || module.startsWith('-')) {
    throw new MillraceError('MLR_ERR_USAGE', `${command} needs a module: millrace ${command} pipelines/clickstream.ts`)
  }
  const { name, options } = takePipelineName(rest)
  const pipeline = await load(module, name)
  const self = fileURLToPath(import.meta.url)
  await main(pipeline, [command, ...options], {
    program: `millrace COMMAND ${module}`,
    module,
    reenter: (again) => [self, again, module, '--pipeline', pipeline.name],
  })
}

function takePipelineName(argv: readonly string[]): {
  readonly name: string | undefined
  readonly options: readonly string[]
} {
  const at = argv.indexOf('--pipeline')
  if (at === -1) return { name: undefined, options: argv }
  return { name: argv[at + 1], options: argv.toSpliced(at, 2) }
}

async function load(module: string, name: string | undefined): Promise<Pipeline> {
  const path = resolve(module)
  if (!existsSync(path)) throw new MillraceError('MLR_ERR_USAGE', `there is no module ${module}`)
  let loaded: Record<string, unknown>
  try {
    loaded = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  } catch (error) {
    if (error instanceof MillraceError) throw error
    throw new MillraceError('MLR_ERR_USAGE', `cannot load ${module}: ${reasonOf(error)}`, { cause: error })
  }
  const pipelines = Object.values(loaded).filter(isPipeline)
  const names = pipelines.map((pipeline) => `'${pipeline.name}'`).join(', ')
  if (pipelines.length === 0)
    throw new MillraceError('MLR_ERR_USAGE', `${module} exports no pipeline: export const … = pipeline('name', …)`)
  if (name === undefined && pipelines.length > 1) {
    throw new MillraceError('MLR_ERR_USAGE', `${module} exports ${names}: say which with --pipeline NAME`)
  }
  const found = name === undefined ? pipelines[0] : pipelines.find((pipeline) => pipeline.name === name)
  if (found === undefined)
    throw new MillraceError('MLR_ERR_USAGE', `${module} exports no pipeline '${name}'; it exports ${names}`)
  return found
}

millrace(process.argv.slice(2)).catch(fail)
