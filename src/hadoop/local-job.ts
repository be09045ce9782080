import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Counters } from '../core/counters.ts'
import { MillraceError } from '../core/errors.ts'
import type { FormatName } from '../formats/format.ts'
import { cutsOf, type Plan, type PlannedFlow, sourcesOf } from '../plan/plan.ts'
import { findInputFiles } from '../sources/input-files.ts'
import { type Child, startChild } from './child.ts'
import { Partitioner } from './partitioner.ts'
import { planSplits, type Split } from './role-input.ts'
import { REPORT_ENV } from './role-report.ts'

export interface LocalJobOptions {
  readonly plan: Plan
  readonly flow: PlannedFlow
  /** By source: a file, folder or glob. */
  readonly inputs: ReadonlyMap<string, string>
  /** How many mappers share the input. Default: the cores, at least 2. */
  readonly splits?: number
  /** Default 2. */
  readonly reducers?: number
  /** How many combiners run after each mapper. Default 0: the mapper combines as it goes. */
  readonly combine?: number
  readonly format?: FormatName
  readonly columns?: readonly string[]
  /** Rows as `key TAB text`, so that parts can be merged by key. */
  readonly withKeys?: boolean
  /** What starts this very module in another process: the arguments of Node for a command. */
  readonly reenter: (command: string) => readonly string[]
  readonly onProgress?: (done: number, all: number) => void
  readonly signal?: AbortSignal
}

export interface LocalJobReport {
  readonly parts: readonly string[]
  readonly counters: Counters
  readonly firstSkipped: readonly string[]
}

/**
 * A MapReduce job on this machine, with real processes and a real sort: splits → mapper (→ sort → combiner) → partition → sort →
 * reducer, once for each cut, as on a cluster. The parts go to `folder`, which must exist.
 */
export async function runLocalJob(options: LocalJobOptions, folder: string): Promise<LocalJobReport> {
  const work = await mkdtemp(join(tmpdir(), 'millrace-job-'))
  const job = new LocalJob(options, folder, work)
  const stop = (): void => job.kill()
  options.signal?.addEventListener('abort', stop, { once: true })
  try {
    return await job.run()
  } finally {
    job.kill()
    options.signal?.removeEventListener('abort', stop)
    await rm(work, { recursive: true, force: true })
  }
}

class LocalJob {
  readonly #options: LocalJobOptions
  readonly #folder: string
  readonly #work: string
  readonly #children = new Set<Child>()
  readonly #counters = new Counters()
  readonly #firstSkipped: string[] = []
  readonly #parts: string[] = []
  #done = 0

  constructor(options: LocalJobOptions, folder: string, work: string) {
    this.#options = options
    this.#folder = folder
    this.#work = work
  }

  async run(): Promise<LocalJobReport> {
    const { plan, flow, reducers = 2 } = this.#options
    const cuts = cutsOf(plan, flow)
    const splits = await this.#splits()
    const all = splits.length + cuts.length * reducers
    const progress = (): void => this.#options.onProgress?.(++this.#done, all)
    if (cuts.length === 0) {
      await this.#mapAll(splits, progress, (child, i) => this.#toPart(child.stdout, i))
    } else {
      // From the last cut back: a reducer's output goes into the sorts of the next one, which are there already.
      const steps = cuts.map((_, i) => this.#startReducers(i + 1, reducers))
      const finished = steps.map(async ({ reduced }, i) => {
        const next = steps[i + 1]
        await Promise.all(
          reduced.map(async (child, part) => {
            await (next === undefined
              ? this.#toPart(child.stdout, part)
              : pipeline(child.stdout, new Partitioner(next.sorts)))
            await child.ended
            progress()
          }),
        )
        for (const sort of next?.sorts ?? []) sort.end()
      })
      const failed = Promise.all(finished)
      failed.catch(() => {})
      const first = steps[0]!
      await Promise.race([
        this.#mapAll(splits, progress, (child) => pipeline(this.#combined(child), new Partitioner(first.sorts))),
        // A reducer that fails early must not wait for all mappers to be told.
        failed.then(() => new Promise<never>(() => {})),
      ])
      for (const sort of first.sorts) sort.end()
      await failed
    }
    return { parts: this.#parts.toSorted(), counters: this.#counters, firstSkipped: this.#firstSkipped }
  }

  kill(): void {
    for (const child of this.#children) child.kill()
  }

  async #splits(): Promise<readonly (Split & { readonly source: string })[]> {
    const { plan, flow, inputs, splits = Math.max(2, availableParallelism()) } = this.#options
    const found = await Promise.all(
      sourcesOf(plan, flow).map(async ({ name }) => {
        const path = inputs.get(name)
        if (path === undefined) {
          throw new MillraceError('MLR_ERR_USAGE', `no input for source '${name}': give one with --input ${name}=PATH`)
        }
        return planSplits(await findInputFiles(path), splits).map((split) => ({ ...split, source: name }))
      }),
    )
    return found.flat()
  }

  async #mapAll(
    splits: readonly (Split & { readonly source: string })[],
    progress: () => void,
    consume: (child: Child, index: number) => Promise<void>,
  ): Promise<void> {
    const waiting = splits.entries()
    const worker = async (): Promise<void> => {
      for (const [index, split] of waiting) {
        const { file, start, end, source } = split
        const child = this.#startRole('map', 1, [
          '--source',
          source,
          '--input',
          file.path,
          '--split',
          `${start}:${end}`,
        ])
        child.stdin.end()
        // The mapper's own error says more than that its output has broken off.
        const [consumed, ended] = await Promise.allSettled([consume(child, index), child.ended])
        if (ended.status === 'rejected') throw ended.reason
        if (consumed.status === 'rejected') throw consumed.reason
        progress()
      }
    }
    await Promise.all(Array.from({ length: Math.min(splits.length, availableParallelism()) }, worker))
  }

  /** One sort and one reducer a partition, connected. */
  #startReducers(
    step: number,
    count: number,
  ): { readonly sorts: readonly Writable[]; readonly reduced: readonly Child[] } {
    const last = step === cutsOf(this.#options.plan, this.#options.flow).length
    const pairs = Array.from({ length: count }, () => {
      const sort = this.#startSort()
      const reduce = this.#startRole('reduce', step, last && this.#options.withKeys === true ? ['--with-keys'] : [])
      this.#connect(sort, reduce)
      return { sort, reduce }
    })
    return { sorts: pairs.map(({ sort }) => sort.stdin), reduced: pairs.map(({ reduce }) => reduce) }
  }

  #combined(mapper: Child): Readable {
    let output = mapper.stdout
    for (let pass = 0; pass < (this.#options.combine ?? 0); pass++) {
      const sort = this.#startSort()
      const combine = this.#startRole('combine', 1, [])
      output.pipe(sort.stdin)
      this.#connect(sort, combine)
      output = this.#checked(combine)
    }
    return output
  }

  /** The output of a process, which ends only if the process ended well. */
  #checked(child: Child): Readable {
    const checked = new PassThrough()
    pipeline(child.stdout, checked, { end: false })
      .then(() => child.ended)
      .then(
        () => checked.end(),
        (error: Error) => checked.destroy(error),
      )
    return checked
  }

  #connect(from: Child, to: Child): void {
    pipeline(from.stdout, to.stdin, { end: false })
      .then(() => from.ended)
      .then(
        () => to.stdin.end(),
        // Half an input must not look like a whole one.
        () => to.kill(),
      )
  }

  async #toPart(output: Readable, index: number): Promise<void> {
    const path = join(this.#folder, `part-${String(index).padStart(5, '0')}`)
    this.#parts.push(path)
    await pipeline(output, createWriteStream(path, { flags: 'wx' }))
  }

  #startRole(role: string, step: number, args: readonly string[]): Child {
    const { flow, format, columns, reenter } = this.#options
    const rest = ['--flow', flow.name, '--step', String(step), ...args]
    if (format !== undefined) rest.push('--format', format)
    if (columns !== undefined) rest.push('--columns', columns.join(','))
    return this.#track(
      startChild(process.execPath, [...reenter(role), ...rest], {
        name: { map: 'mapper', combine: 'combiner', reduce: 'reducer' }[role] ?? role,
        // The second process of a module starts in half the time when the first has left its compiled code.
        env: {
          [REPORT_ENV]: '1',
          NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(tmpdir(), 'millrace-compile-cache'),
        },
        onCounter: (name, by) => this.#counters.add(name, by),
        onLine: (line) => {
          if (this.#firstSkipped.length < 3) this.#firstSkipped.push(line)
        },
      }),
    )
  }

  #startSort(): Child {
    // By bytes, on disk where memory does not do: what Hadoop does between mapper and reducer.
    return this.#track(startChild('sort', ['-T', this.#work], { name: 'sort', env: { LC_ALL: 'C' } }))
  }

  #track(child: Child): Child {
    this.#children.add(child)
    child.ended.finally(() => this.#children.delete(child)).catch(() => {})
    return child
  }
}

/** Parts whose lines are `key TAB text`, each in key order → their texts in key order, in one stream. */
export function mergeParts(parts: readonly string[]): Child {
  return startChild('sort', ['-m', '-s', '-t', '\t', '-k1,1', ...parts], { name: 'merge', env: { LC_ALL: 'C' } })
}

/** Makes a folder for parts that is seen only when it is whole. */
export async function temporaryOutput(output: string): Promise<string> {
  const folder = `${output.replace(/\/+$/, '')}.${process.pid}.tmp`
  await mkdir(folder, { recursive: false })
  return folder
}
