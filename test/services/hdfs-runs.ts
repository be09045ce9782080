import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { HadoopCluster } from '../../services/index.ts'
import { HdfsConnection } from '../../src/connections/hdfs.ts'
import { clickLines } from '../../src/sources/clicks.ts'
import { type Ended, program, ROOT, start } from '../support/process.ts'

const PLAN = join(ROOT, 'test/services/hdfs-plan.ts')
let cases = 0

/** A run of the plan of `hdfs-plan.ts` with a folder of HDFS of its own, and a folder of this machine. */
export class HdfsCase {
  readonly #cluster: HadoopCluster
  readonly #folder: string
  readonly out = `/case-${++cases}`

  constructor(cluster: HadoopCluster, folder: string) {
    this.#cluster = cluster
    this.#folder = folder
    this.grow(2000)
  }

  get input(): string {
    return join(this.#folder, 'in.ndjson')
  }

  /** More lines at the end of the input. */
  grow(count: number): void {
    const before = existsSync(this.input) ? readFileSync(this.input, 'utf8') : ''
    const next = clickLines({ seed: 5 + before.length, users: 200, malformed: 0.01 })
    writeFileSync(this.input, before + Array.from({ length: count }, next).join(''))
  }

  args(...more: readonly string[]): readonly string[] {
    return [PLAN, 'run', '--tick', '20ms', '--checkpoint', `hdfs://${this.out}/ck`, ...more]
  }

  env(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return { ...this.#cluster.environment, IN: this.input, OUT: this.out, ...more }
  }

  run(more: NodeJS.ProcessEnv = {}, ...args: readonly string[]): Promise<Ended> {
    return program(this.args(...args), { env: this.env(more) })
  }

  start(more: NodeJS.ProcessEnv = {}, ...args: readonly string[]): ChildProcessWithoutNullStreams {
    return start(this.args(...args), { env: this.env(more) })
  }

  /** What the plan gives on this machine's disk, without any fault. */
  async expected(): Promise<unknown> {
    const out = join(this.#folder, 'expected')
    const ends = ['--checkpoint', join(this.#folder, `ck-${Date.now()}`), '--fresh', '--quiet']
    const ran = await program([PLAN, 'run', ...ends], { env: { IN: this.input, OUT: out, PLACE: 'disk' } })
    if (ran.code !== 0) throw new Error(ran.stderr)
    const names = readdirSync(out).filter((name) => !name.startsWith('.'))
    return contentOf(names, (name) => readFileSync(join(out, name)))
  }

  async held(): Promise<unknown> {
    const connection = new HdfsConnection({ nameNodes: [this.#cluster.url.replace('hdfs://', '')] })
    const names = ((await connection.list(this.out)) ?? [])
      .filter(({ directory }) => !directory)
      .map(({ name }) => name)
    const bytes = new Map<string, Buffer>()
    const visible = names.filter((name) => !name.startsWith('.'))
    for (const name of visible) bytes.set(name, (await connection.readWhole(posix.join(this.out, name))) as Buffer)
    return contentOf(visible, (name) => bytes.get(name) as Buffer)
  }

  /** Temporary files that are left. */
  async temporaries(): Promise<readonly string[]> {
    const connection = new HdfsConnection({ nameNodes: [this.#cluster.url.replace('hdfs://', '')] })
    const lists = await Promise.all([this.out, `${this.out}/ck/to-hdfs`].map((folder) => connection.list(folder)))
    return lists.flatMap((list) => (list ?? []).map(({ name }) => name)).filter((name) => /^\.tmp|\.tmp$/.test(name))
  }
}

/** By what a name begins with: every byte, of all files in their order; each an unbroken run. */
function contentOf(names: readonly string[], read: (name: string) => Buffer): unknown {
  const content = new Map<string, string>()
  const ends = new Map<string, number>()
  for (const name of [...names].sort()) {
    const [, output = name, from, to] = /^(\w+)\..*?(\d{12})-(\d{12})\.ndjson(?:\.gz)?$/.exec(name) ?? []
    if (from !== undefined && Number(from) !== (ends.get(output) ?? 0))
      throw new Error(`${name} does not begin where the file before it ends`)
    ends.set(output, Number(to))
    const bytes = read(name)
    content.set(output, (content.get(output) ?? '') + (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString())
  }
  return Object.fromEntries(content)
}
