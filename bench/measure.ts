import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export interface Measured {
  readonly seconds: number
  /** The most that it and its children held at once, in MB. */
  readonly peakMB: number
  /** Of its output's lines, sorted: equal work has equal checksums. */
  readonly checksum: string
  readonly output: string
}

const SAMPLE_MS = 20

/** Runs a line of shell and measures it from its start to its end, memory included. */
export async function measure(command: string, env: NodeJS.ProcessEnv = {}): Promise<Measured> {
  const started = performance.now()
  const child = spawn('bash', ['-c', command], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      // For every Node program alike: what was compiled once is not compiled again.
      NODE_COMPILE_CACHE: join(tmpdir(), 'millrace-bench-compile-cache'),
      ...env,
    },
  })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  let peak = 0
  const sampling = setInterval(() => {
    peak = Math.max(peak, memoryOf(child))
  }, SAMPLE_MS)
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearInterval(sampling)
  const seconds = (performance.now() - started) / 1000
  if (code !== 0) throw new Error(`${command} ended with code ${code}`)
  const output = Buffer.concat(chunks).toString()
  const checksum = createHash('md5').update(output.split('\n').sort().join('\n')).digest('hex').slice(0, 12)
  return { seconds, peakMB: Math.round(peak / 1024), checksum, output }
}

/** What a process and all below it hold, in kB, as Linux tells. */
function memoryOf(child: ChildProcess): number {
  const all = (pid: number): number => {
    try {
      const held = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
        .trim()
        .split(' ')
        .filter(Boolean)
        .map(Number)
      return held + children.reduce((sum, below) => sum + all(below), 0)
    } catch {
      // It has ended meanwhile.
      return 0
    }
  }
  return child.pid === undefined ? 0 : all(child.pid)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] as number
}
