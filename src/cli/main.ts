import { MillraceError } from '../core/errors.ts'
import type { Pipeline } from '../plan/pipeline.ts'
import type { Invocation } from './context.ts'
import { fail } from './fail.ts'
import { HELP, helpOf, isCommand, VERSION } from './help.ts'

/** One pipeline and the command line that came with it. Sets the exit code; never rejects. */
export async function main(pipeline: Pipeline, argv: readonly string[], invocation: Invocation): Promise<void> {
  try {
    await dispatch(pipeline, argv, invocation)
  } catch (error) {
    await fail(error)
  }
}

async function dispatch(pipeline: Pipeline, argv: readonly string[], invocation: Invocation): Promise<void> {
  const [first, ...rest] = argv
  if (first === '--help' || first === '-h' || first === 'help') {
    process.stdout.write(HELP(invocation.program))
    return
  }
  if (first === '--version') {
    process.stdout.write(`${VERSION}\n`)
    return
  }
  const command = first === undefined || first.startsWith('-') ? 'run' : first
  const options = command === first ? rest : argv
  if (!isCommand(command)) {
    throw new MillraceError('MLR_ERR_USAGE', `there is no command '${command}'; see --help`)
  }
  if (options.includes('--help') || options.includes('-h')) {
    process.stdout.write(helpOf(command))
    return
  }
  switch (command) {
    case 'run':
      return (await import('./run-command.ts')).runCommand(pipeline, options)
    case 'checkpoints':
      return (await import('./checkpoints-command.ts')).checkpointsCommand(pipeline, options)
    case 'describe':
      return (await import('./describe-command.ts')).describeCommand(pipeline, options)
    case 'map':
    case 'combine':
    case 'reduce':
      return (await import('./role-command.ts')).roleCommand(command, pipeline, options)
    case 'batch':
      return (await import('./batch-command.ts')).batchCommand(pipeline, options, invocation)
    case 'hadoop':
      return (await import('./hadoop-command.ts')).hadoopCommand(pipeline, options, invocation)
    case 'verify':
      return (await import('./verify-command.ts')).verifyCommand(pipeline, options, invocation)
  }
}
