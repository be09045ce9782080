import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import split2 from 'split2'
import { keyText } from './core/key.ts'
import { file } from './ends.ts'
import { lineOf } from './formats/format.ts'
import { startChild } from './hadoop/child.ts'
import { type LocalJobOptions, mergeParts, runLocalJob } from './hadoop/local-job.ts'
import type { Plan, PlannedFlow } from './plan/plan.ts'
import { cutsOf, sourcesOf } from './plan/plan.ts'
import { withEnds } from './plan/with-ends.ts'
import { runInline } from './runtime/exchanges/inline.ts'
import type { Output, Sink } from './sinks/sink.ts'

export interface JobShape {
  readonly splits: number
  readonly reducers: number
  readonly combine: number
}

/** Two jobs that cut the work differently: what depends on how it is cut, differs. */
export const DEFAULT_SHAPES: readonly JobShape[] = [
  { splits: 2, reducers: 2, combine: 0 },
  { splits: 5, reducers: 3, combine: 2 },
]

export interface Verdict {
  readonly flow: string
  readonly shape: JobShape
  readonly rows: number
  readonly difference: Difference | undefined
}

/** The first line in which they differ; undefined where one had ended. */
export interface Difference {
  readonly line: number
  /** The canonical text of the row's key, where the flow is a table. */
  readonly key: string | undefined
  readonly stream: string | undefined
  readonly batch: string | undefined
}

/** Runs a flow over an input as a stream, then as jobs of the given shapes, and compares each with the stream, byte by byte. */
export async function verifyFlow(
  options: Pick<LocalJobOptions, 'plan' | 'flow' | 'inputs' | 'reenter' | 'signal'>,
  shapes: readonly JobShape[] = DEFAULT_SHAPES,
): Promise<readonly Verdict[]> {
  const { plan, flow, inputs } = options
  const folder = await mkdtemp(join(tmpdir(), 'millrace-verify-'))
  try {
    const streamed = join(folder, 'stream')
    await streamTo(plan, flow, inputs, streamed, options.signal)
    // Events that went through reducers have no order among them.
    const unordered = flow.over === 'stream' && cutsOf(plan, flow).length > 0
    const expected = unordered ? await sorted(streamed) : streamed
    const verdicts: Verdict[] = []
    for (const [i, shape] of shapes.entries()) {
      const parts = join(folder, `batch-${i}`)
      await mkdir(parts)
      const table = flow.over === 'table'
      const report = await runLocalJob({ ...options, ...shape, withKeys: table }, parts)
      const merged = join(folder, `merged-${i}`)
      await mergeTo(report.parts, table, merged)
      verdicts.push({
        flow: flow.name,
        shape,
        ...(await compare(expected, unordered ? await sorted(merged) : merged, table)),
      })
    }
    return verdicts
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function streamTo(
  plan: Plan,
  flow: PlannedFlow,
  inputs: ReadonlyMap<string, string>,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const { sink } = flow.sink
  const line = lineOf(sink.format, sink.columns)
  const nowhere: Sink<unknown> = {
    sink: {
      kind: 'nowhere',
      label: 'nowhere',
      open: async () => ({ write: () => {}, close: async () => {}, abort: async () => {} }),
    },
  }
  const sinks = new Map(plan.flows.map((other) => [other.name, other === flow ? lineSink(path, line) : nowhere]))
  const empty = {
    source: { ...file('-').source, open: async () => ({ stop: () => {}, async *[Symbol.asyncIterator]() {} }) },
  }
  const needed = new Set(sourcesOf(plan, flow).map(({ name }) => name))
  const sources = new Map(
    plan.sources.map(({ name }) => [name, needed.has(name) ? file(inputs.get(name) ?? '') : empty]),
  )
  await runInline(withEnds(plan, { sources, sinks }), signal === undefined ? {} : { signal })
}

/** Events as lines, rows as `key TAB line`: what the reducers write with keys. */
function lineSink(path: string, line: (value: unknown) => string): Sink<unknown> {
  const text = function* (output: Output): Generator<string> {
    if (output.kind === 'events') for (const value of output.values) yield line(value)
    else for (const { key, value } of output.changes) yield `${keyText(key)}\t${line(value)}`
  }
  return {
    sink: {
      kind: 'file',
      label: 'verify',
      open: async () => {
        const stream = createWriteStream(path)
        return {
          write: async (output) => {
            if (!stream.write([...text(output)].join(''))) await new Promise((resolve) => stream.once('drain', resolve))
          },
          close: () =>
            new Promise((resolve, reject) => stream.end((error?: Error | null) => (error ? reject(error) : resolve()))),
          abort: async () => void stream.destroy(),
        }
      },
    },
  }
}

async function mergeTo(parts: readonly string[], table: boolean, path: string): Promise<void> {
  if (table) {
    const merge = mergeParts(parts)
    merge.stdin.end()
    await pipeline(merge.stdout, createWriteStream(path))
    await merge.ended
    return
  }
  await pipeline(async function* () {
    for (const part of parts) yield* createReadStream(part)
  }, createWriteStream(path))
}

/** The lines of a file in the order of their bytes, in another file. */
async function sorted(path: string): Promise<string> {
  const sort = startChild('sort', [path], { name: 'sort', env: { LC_ALL: 'C' } })
  sort.stdin.end()
  await pipeline(sort.stdout, createWriteStream(`${path}.sorted`))
  await sort.ended
  return `${path}.sorted`
}

async function compare(
  streamed: string,
  batched: string,
  table: boolean,
): Promise<{ rows: number; difference: Difference | undefined }> {
  const a = linesOf(streamed)
  const b = linesOf(batched)
  for (let line = 1; ; line++) {
    const [x, y] = await Promise.all([a.next(), b.next()])
    const left = x.done === true ? undefined : x.value
    const right = y.done === true ? undefined : y.value
    if (left === undefined && right === undefined) return { rows: line - 1, difference: undefined }
    if (left !== right) {
      const keyed = (left ?? right) as string
      const key = table ? keyed.slice(0, keyed.indexOf('\t')) : undefined
      return { rows: line - 1, difference: { line, key, stream: left, batch: right } }
    }
  }
}

/** Latin-1, so that a byte is a character and nothing is decoded away. */
function linesOf(path: string): AsyncIterator<string> {
  return createReadStream(path, 'latin1').pipe(split2('\n'))[Symbol.asyncIterator]() as AsyncIterator<string>
}
