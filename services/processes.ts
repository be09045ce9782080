import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cacheFolder } from './cache.ts'

/** A server process that we started, as it is recorded: a crash of whoever started it must not leave it running for ever. */
export interface ProcessRecord {
  readonly id: string
  readonly service: string
  readonly pid: number
  /** When it started, in ticks since the machine did: its number may belong to another process by now. */
  readonly started: string
  readonly url: string
  readonly log: string
  /** Who is to stop it; without one it runs until `services stop`. */
  readonly owner?: { readonly pid: number; readonly started: string }
}

export interface StartOptions {
  /** Names the record: one server of an id at a time. */
  readonly id: string
  readonly service: string
  readonly url: string
  readonly log: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** It outlives this process. */
  readonly detached?: boolean
}

const records = (): string => cacheFolder('running')

export function startProcess(options: StartOptions): ServerProcess {
  const { id, service, url, log, command, args, env, detached = false } = options
  mkdirSync(records(), { recursive: true })
  const out = openSync(log, 'a')
  const child = spawn(command, args, { stdio: ['ignore', out, out], detached: true, env: { ...process.env, ...env } })
  child.unref()
  if (child.pid === undefined) throw new Error(`${command} can't be started`)
  const record: ProcessRecord = {
    id,
    service,
    pid: child.pid,
    started: startOf(child.pid) ?? '',
    url,
    log,
    ...(detached ? {} : { owner: { pid: process.pid, started: startOf(process.pid) ?? '' } }),
  }
  writeFileSync(join(records(), `${id}.json`), JSON.stringify(record))
  return new ServerProcess(record, child)
}

/** A running server. */
export class ServerProcess {
  readonly record: ProcessRecord
  readonly #child: ChildProcess | undefined

  constructor(record: ProcessRecord, child?: ChildProcess) {
    this.record = record
    this.#child = child
  }

  get alive(): boolean {
    return isAlive(this.record)
  }

  signal(signal: NodeJS.Signals): void {
    if (this.alive) process.kill(this.record.pid, signal)
  }

  /** Waits until something holds; an early death of the process is an error that shows the end of its log. */
  async until(holds: () => Promise<boolean> | boolean, timeoutMs: number): Promise<void> {
    const until = Date.now() + timeoutMs
    while (!(await holds())) {
      if (!this.alive) throw new Error(`${this.record.service} has died:\n${this.tail()}`)
      if (Date.now() > until)
        throw new Error(`${this.record.service} was not ready after ${timeoutMs / 1000} s:\n${this.tail()}`)
      await sleep(30)
    }
  }

  tail(lines = 15): string {
    return readFileSync(this.record.log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  }

  /** Ends it: asks first, then does not. */
  async stop(): Promise<void> {
    this.signal('SIGTERM')
    await this.gone(15_000)
    this.signal('SIGKILL')
    await this.gone(5000)
    rmSync(join(records(), `${this.record.id}.json`), { force: true })
  }

  /** Waits until the process is no more. */
  async gone(timeoutMs: number): Promise<void> {
    for (const until = Date.now() + timeoutMs; this.alive && Date.now() < until; ) await sleep(20)
    // Else it is a zombie until we have waited for it.
    await new Promise((resolve) => setImmediate(resolve))
    void this.#child?.exitCode
  }
}

/** What is recorded and runs. Records of processes that are gone are removed; servers whose owner is gone are stopped. */
export async function runningServers(): Promise<readonly ServerProcess[]> {
  const servers: ServerProcess[] = []
  for (const record of readRecords()) {
    const server = new ServerProcess(record)
    const orphan = record.owner !== undefined && startOf(record.owner.pid) !== record.owner.started
    if (!server.alive || orphan) await server.stop()
    else servers.push(server)
  }
  return servers
}

function readRecords(): readonly ProcessRecord[] {
  try {
    return readdirSync(records())
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(join(records(), name), 'utf8')) as ProcessRecord)
  } catch {
    return []
  }
}

function isAlive({ pid, started }: ProcessRecord): boolean {
  return startOf(pid) === started
}

/** When a process started; undefined where there is none, or only its exit code is left. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}
