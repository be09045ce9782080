import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMillraceError, MillraceError, printable } from '../core/errors.ts'

/** Says what went wrong in words and sets the exit code: 2 for wrong usage, 3 where another process has taken
 * over, 1 for anything else. A reader that left is no error. */
export async function fail(error: unknown): Promise<void> {
  if (isMillraceError(error, 'MLR_ERR_OUTPUT_CLOSED')) {
    // `| head` has what it wanted. Nothing more can be written; what still runs is let go of.
    process.exit(0)
  }
  process.exitCode = exitCodeOf(error)
  process.stderr.write(`${describeError(error)}\n`)
  await new Promise<void>((resolve) => process.stderr.write('', () => resolve()))
  // Whatever a failed run has left open (a source that waits, a timer of the user's) must not keep the process.
  process.exit()
}

function exitCodeOf(error: unknown): number {
  if (isMillraceError(error, 'MLR_ERR_USAGE')) return 2
  // A supervisor must know that another one works: it need not start this one again.
  return isMillraceError(error, 'MLR_ERR_FENCED') ? 3 : 1
}

export function describeError(error: unknown): string {
  if (!(error instanceof MillraceError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return `error: ${text}`
  }
  const lines = [`error: ${error.message.split('\n').map(printable).join('\n')} (${error.code})`]
  const at = placeInUserCode(error.cause)
  if (at !== undefined) lines.push(`  in ${at}`)
  return lines.join('\n')
}

/** Where in the user's own code an error was thrown: the first line of its stack that is neither ours nor Node's. */
function placeInUserCode(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || cause instanceof MillraceError || cause.stack === undefined) return undefined
  const ours = fileURLToPath(new URL('..', import.meta.url))
  for (const line of cause.stack.split('\n').slice(1)) {
    if (line.includes('node:')) continue
    const frame = /(?:file:\/\/)?(\/[^()]*?:\d+:\d+)\)?$/.exec(line)?.[1]
    if (frame !== undefined && !frame.startsWith(ours) && !frame.includes('/node_modules/'))
      return relative(process.cwd(), frame)
  }
  return undefined
}
