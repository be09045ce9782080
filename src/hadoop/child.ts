import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import split2 from 'split2'
import { MillraceError, printable, reasonOf } from '../core/errors.ts'

const KEPT_LINES = 20

/** A process of a job: its streams, its counters, and an end that is an error if it failed. */
export interface Child {
  readonly stdin: Writable
  readonly stdout: Readable
  /** Resolves when it has ended well; rejects with what it said on standard error. */
  readonly ended: Promise<void>
  kill(): void
}

export interface ChildOptions {
  readonly name: string
  readonly env?: NodeJS.ProcessEnv
  readonly onCounter?: (name: string, by: number) => void
  readonly onLine?: (line: string) => void
}

/** Starts a program. Its standard error is read line by line: `reporter:counter:` lines are counters, the rest is kept for the error. */
export function startChild(
  command: string,
  args: readonly string[],
  { name, env, onCounter, onLine }: ChildOptions,
): Child {
  const child: ChildProcess = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  const said: string[] = []
  const lines = (child.stderr as Readable).pipe(split2())
  lines.on('data', (line: string) => {
    const counter = /^reporter:counter:[^,]*,([^,]*),(-?\d+)$/.exec(line)
    if (counter !== null) onCounter?.(counter[1] as string, Number(counter[2]))
    else if (line.startsWith('skipped ')) onLine?.(line)
    else if (said.length < KEPT_LINES && line !== '') said.push(line)
  })
  const { stdin, stdout } = child as { stdin: Writable; stdout: Readable }
  // A child that fails closes its input: its own error is the one to tell.
  stdin.on('error', () => {})
  const ended = (async () => {
    const [code, signal] = await exitOf(child, command, name)
    if (code === 0) return
    const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`
    const why = said.length === 0 ? '' : `: ${said.map(printable).join('\n  ')}`
    throw new MillraceError('MLR_ERR_CHILD', `the ${name} ${how}${why}`)
  })()
  // Looked at when its turn comes; until then it is no unhandled rejection.
  ended.catch(() => {})
  return { stdin, stdout, ended, kill: () => void child.kill('SIGKILL') }
}

async function exitOf(
  child: ChildProcess,
  command: string,
  name: string,
): Promise<[number | null, NodeJS.Signals | null]> {
  try {
    return (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  } catch (error) {
    throw new MillraceError('MLR_ERR_CHILD', `cannot start the ${name} (${command}): ${reasonOf(error)}`, {
      cause: error,
    })
  }
}
