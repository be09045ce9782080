import { spawn } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { Random } from 'millrace/testing'
import { clickLines } from '../../src/sources/clicks.ts'

/** The plan that the fault tests run: rows that go and come back, an aggregate over a table, events. */
export const PLAN = fileURLToPath(new URL('./table-plan.ts', import.meta.url))

/** A file of clicks, some of them broken. */
export function clicksIn(folder: string, count: number, seed = 1): string {
  const path = join(folder, 'in.ndjson')
  const next = clickLines({ seed, users: 400, malformed: 0.01 })
  writeFileSync(path, Array.from({ length: count }, next).join(''))
  return path
}

/** Everything that the sinks hold, in an order of its own. */
export function tablesOf(path: string): unknown {
  const database = new DatabaseSync(path)
  const rows = (sql: string): unknown[] =>
    database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }))
  const held = {
    users: rows('SELECT * FROM users ORDER BY _key'),
    actions: rows('SELECT * FROM actions ORDER BY _key'),
    paid: rows('SELECT * FROM paid').sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  }
  database.close()
  return held
}

export const args = (folder: string, ...more: string[]): string[] => [
  PLAN,
  'run',
  '--from',
  join(folder, 'in.ndjson'),
  '--checkpoint',
  join(folder, 'ck'),
  '--tick',
  '10ms',
  ...more,
]
export const env = (folder: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  TABLES: join(folder, 'out.sqlite'),
  ...more,
})

export interface KillRounds {
  readonly kills: number
  /** What was left when the last run had ended well. */
  readonly tables: unknown
  readonly temporaries: readonly string[]
}

/** Starts the plan again and again and kills it at random instants, then lets it end. Throws if a run fails by itself. */
export async function killAtRandom(folder: string, seed: number, rounds: number): Promise<KillRounds> {
  const random = new Random(seed)
  let kills = 0
  for (let i = 0; i < rounds; i++) if ((await runAndKill(folder, 120 + random.below(300))) === 'SIGKILL') kills++
  await runAndKill(folder, undefined)
  return {
    kills,
    tables: tablesOf(join(folder, 'out.sqlite')),
    temporaries: readdirSync(join(folder, 'ck')).filter((name) => name.startsWith('.tmp')),
  }
}

/** Runs it to its end, or kills it after so many milliseconds. */
export async function runAndKill(folder: string, afterMs: number | undefined): Promise<NodeJS.Signals | undefined> {
  const { NODE_OPTIONS: _options, ...rest } = process.env
  const child = spawn(process.execPath, args(folder, '--quiet'), {
    env: { ...rest, ...env(folder) },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk
  })
  const timer = afterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), afterMs)
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('close', (...end) => resolve(end)),
  )
  clearTimeout(timer)
  if (signal === 'SIGKILL') return signal
  if (code !== 0) throw new Error(`the run ended with code ${code}: ${said}`)
  return undefined
}
