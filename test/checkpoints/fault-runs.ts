import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { Random } from 'millrace/testing'
import { clickLines } from '../../src/sources/clicks.ts'

/** A pipeline that the fault tests run, and how to see what its sinks hold, in an order of its own. */
export interface FaultPlan {
  readonly name: string
  readonly module: string
  /** What it reads, in the folder. */
  readonly input: string
  make(folder: string, count: number, seed: number): void
  held(folder: string): unknown
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** The plan that the fault tests run: rows that go and come back, an aggregate over a table, events. */
export const PLAN = here('./table-plan.ts')

export const TABLES: FaultPlan = {
  name: 'rows with removals, an aggregate over a table, events, in SQLite',
  module: PLAN,
  input: 'in.ndjson',
  make: clicksIn,
  held: (folder) => tablesOf(join(folder, 'out.sqlite')),
}

export const FILES: FaultPlan = {
  name: 'rotated files, a snapshot, a change log, dead letters, what is not repeatable on two sinks',
  module: here('./files-plan.ts'),
  input: 'in',
  make: (folder, count, seed) => {
    for (const name of ['in', 'out']) mkdirSync(join(folder, name))
    for (const [i, name] of ['a', 'b'].entries())
      writeFileSync(join(folder, 'in', name), lines(count / 2, 2 * seed + i))
  },
  held: (folder) => filesOf(join(folder, 'out')),
}

export const PLANS = [TABLES, FILES] as const

function lines(count: number, seed: number): string {
  const next = clickLines({ seed, users: 400, malformed: 0.01 })
  return Array.from({ length: count }, next).join('')
}

/** A file of clicks, some of them broken. */
export function clicksIn(folder: string, count: number, seed = 1): string {
  const path = join(folder, 'in.ndjson')
  writeFileSync(path, lines(count, seed))
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

/** By what the name of an output begins with and input file: its bytes, of all files in order; every file is an unbroken run. */
function filesOf(folder: string): unknown {
  const bytes = new Map<string, string>()
  const next = new Map<string, number>()
  const names: string[] = []
  for (const name of readdirSync(folder).sort()) {
    const match = /^(\w+)\.(?:(\w+)~\w+|changes)\.(\d+)-(\d+)\.ndjson(\.gz)?$/.exec(name)
    if (match === null) continue
    const [, output, input = '', from, to, packed] = match
    const id = `${output} ${input}`
    if (Number(from) !== (next.get(id) ?? 0)) throw new Error(`${name} does not begin where the file before it ends`)
    next.set(id, Number(to))
    const content = readFileSync(join(folder, name))
    bytes.set(
      id,
      (bytes.get(id) ?? '') +
        (packed === undefined ? content : gunzipSync(content)).toString().replaceAll(dirname(folder), ''),
    )
    // How many changes there were depends on when the ticks were, and where a tag stands on nothing.
    if (output !== 'changes') names.push(`${id} ${from}-${to}`)
  }
  const json = (id: string): Record<string, unknown>[] =>
    (bytes.get(id) ?? '')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  const table = new Map<string, unknown>()
  for (const { key, row } of json('changes ')) {
    if (row === null) table.delete(String(key))
    else table.set(String(key), row)
  }
  const users = readFileSync(join(folder, 'users.json'), 'utf8')
  const folded = [...table].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => `${JSON.stringify(row)}\n`)
  if (folded.join('') !== users) throw new Error('the log of changes does not add up to the snapshot')
  const tagged = [...json('paid a'), ...json('paid b')]
  const database = new DatabaseSync(join(folder, 'paid.sqlite'))
  const rows = database.prepare('SELECT user, at, tag FROM paid').all()
  database.close()
  const byTag = (events: readonly object[]): string =>
    events
      .map(({ user, at, tag }: { user?: unknown; at?: unknown; tag?: unknown }) => `${tag} ${user} ${at ?? ''}`)
      .sort()
      .join('\n')
  if (byTag(tagged) !== byTag(rows)) throw new Error('two sinks of one stream hold different events')
  return {
    names,
    users,
    paid: tagged.map(({ user, at }) => `${user} ${at}`),
    bytes: [...bytes].filter(([id]) => !id.startsWith('changes') && !id.startsWith('paid')),
  }
}

export function argsOf(plan: FaultPlan, folder: string, ...more: string[]): string[] {
  const ends = ['--from', join(folder, plan.input), '--checkpoint', join(folder, 'ck')]
  return [plan.module, 'run', ...ends, '--tick', '10ms', ...more]
}

export const args = (folder: string, ...more: string[]): string[] => argsOf(TABLES, folder, ...more)

export const env = (folder: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  TABLES: join(folder, 'out.sqlite'),
  OUT: join(folder, 'out'),
  ...more,
})

/** Names of temporary files that are left. */
export function temporariesIn(folder: string): readonly string[] {
  return ['ck', 'out']
    .map((name) => join(folder, name))
    .filter((path) => existsSync(path))
    .flatMap((path) => readdirSync(path))
    .filter((name) => name.startsWith('.tmp') || name.endsWith('.tmp'))
}

export interface KillRounds {
  readonly kills: number
  /** What was left when the last run had ended well. */
  readonly held: unknown
  readonly temporaries: readonly string[]
}

/** Starts the plan again and again and kills it at random instants, then lets it end. Throws if a run fails by itself. */
export async function killAtRandom(plan: FaultPlan, folder: string, seed: number, rounds: number): Promise<KillRounds> {
  const random = new Random(seed)
  let kills = 0
  for (let i = 0; i < rounds; i++) if ((await runAndKill(plan, folder, 120 + random.below(300))) === 'SIGKILL') kills++
  await runAndKill(plan, folder, undefined)
  return { kills, held: plan.held(folder), temporaries: temporariesIn(folder) }
}

/** Runs it to its end, or kills it after so many milliseconds. */
export async function runAndKill(
  plan: FaultPlan,
  folder: string,
  afterMs: number | undefined,
): Promise<NodeJS.Signals | undefined> {
  const { NODE_OPTIONS: _options, ...rest } = process.env
  const child = spawn(process.execPath, argsOf(plan, folder, '--quiet'), {
    // Checkpoints as often as asked, so that kills meet them.
    env: { ...rest, ...env(folder, { MILLRACE_FAULT: 'none@1:SIGKILL' }) },
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
