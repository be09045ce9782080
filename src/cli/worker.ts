import { MillraceError } from '../core/errors.ts'
import { isPipeline, type Pipeline } from '../plan/pipeline.ts'
import { fail } from './fail.ts'
import { roleCommand } from './role-command.ts'

/** The program of a bundle: one role of a pipeline, over stdin and stdout. */
export async function work(module: object, name: string, argv: readonly string[]): Promise<void> {
  try {
    const pipeline = Object.values(module).find(
      (exported): exported is Pipeline => isPipeline(exported) && exported.name === name,
    )
    if (pipeline === undefined) throw new MillraceError('MLR_ERR_USAGE', `the bundle holds no pipeline '${name}'`)
    const [role, ...options] = argv
    if (role !== 'map' && role !== 'combine' && role !== 'reduce')
      throw new MillraceError('MLR_ERR_USAGE', `there is no role '${role}'`)
    await roleCommand(role, pipeline, options)
  } catch (error) {
    await fail(error)
  }
}
