import { readFileSync } from 'node:fs'
import { MillraceError, reasonOf } from '../core/errors.ts'

/** A secret that is given, or lies in the environment under a name, or in a file that `NAME_FILE` names (as containers mount them). */
export function secret(
  given: string | undefined,
  name: string,
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  if (given !== undefined) return given
  if (env[name] !== undefined) return env[name]
  const file = env[`${name}_FILE`]
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8').trimEnd()
  } catch (error) {
    throw new MillraceError('MLR_ERR_SERVER_LOGIN', `${name}_FILE: ${reasonOf(error)}`, { cause: error })
  }
}
