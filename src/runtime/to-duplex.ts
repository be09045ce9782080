import { createRequire } from 'node:module'
import { type Duplex, Transform, type TransformCallback } from 'node:stream'
import type Pumpify from 'pumpify'
import { MillraceError, reasonOf } from '../core/errors.ts'
import { LineCutter } from '../core/line-cutter.ts'
import type { Batch } from '../core/record.ts'
import { from, pipeline, type Stream } from '../plan/pipeline.ts'
import type { Plan } from '../plan/plan.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Source } from '../sources/source.ts'
import { Execution } from './execution.ts'

const BATCH = 256

const require = createRequire(import.meta.url)

/**
 * Operators as one Duplex for use in another program: what is written goes in, what the flow gives comes out. Object mode; a byte
 * stream that is piped in is cut into lines. Fused inside, and aggregates give their rows when the input ends. An error destroys it
 * and everything that it is piped with by `pipeline`.
 *
 * @example
 * ```ts
 * const users = toDuplex((input: Stream<string>) => input.pipe(parseJson()).pipe(filter(isClick)).pipe(map((click) => click.user_id)))
 * process.stdin.pipe(users).on('data', (user) => console.error(user))
 * ```
 */
export function toDuplex<In, Out>(flow: (input: Stream<In>) => Stream<Out>): Duplex {
  const input: Source<In> = {
    source: {
      kind: 'input',
      label: 'input',
      bounded: true,
      textLines: true,
      open: async () => {
        throw new MillraceError('MLR_ERR_PLAN', 'the input of toDuplex is what is written to it')
      },
    },
  }
  const output: Sink<Out> = {
    sink: {
      kind: 'output',
      label: 'output',
      open: async () => {
        throw new MillraceError('MLR_ERR_PLAN', 'the output of toDuplex is what is read from it')
      },
    },
  }
  const { plan } = pipeline('duplex', flow(from(input, { name: 'input' })).to(output, { name: 'output' }))
  // Two streams in one: pumpify hands on errors and endings of both, which stream.compose loses.
  // Loaded when used: it brings a stream library of its own, a tenth of the time in which a mapper starts.
  const pumpify = require('pumpify') as typeof Pumpify
  const batches = new Batches()
  const duplex = new pumpify.obj(batches, new Fused(plan)) as unknown as Duplex
  duplex.on('pipe', (from: { readableObjectMode?: boolean }) => {
    if (from.readableObjectMode !== true) batches.cutLines()
  })
  return duplex
}

/** Single chunks → arrays, so that the stage pays for a stream once per array. Lines of a byte stream come an array a chunk. */
class Batches extends Transform {
  #cutter: LineCutter | undefined
  #values: unknown[] = []

  constructor() {
    super({ objectMode: true })
  }

  /** What comes is a byte stream. */
  cutLines(): void {
    this.#cutter ??= new LineCutter()
  }

  override _transform(chunk: unknown, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#cutter === undefined) this.#values.push(chunk)
    else for (const line of this.#cutter.push(chunk as Uint8Array | string)) this.#values.push(line)
    // A reader that waits gets what there is; while it is busy, arrays grow.
    if (this.#values.length >= BATCH || this.readableLength === 0) this.#give()
    done()
  }

  override _flush(done: TransformCallback): void {
    const last = this.#cutter?.end()
    if (last !== undefined) this.#values.push(last)
    this.#give()
    done()
  }

  #give(): void {
    if (this.#values.length > 0) this.push(this.#values)
    this.#values = []
  }
}

/** The whole plan as one Transform from arrays to single values. */
class Fused extends Transform {
  readonly #execution: Execution
  #taken = 0

  constructor(plan: Plan) {
    super({ objectMode: true })
    this.#execution = new Execution(plan)
  }

  override _transform(values: unknown[], _encoding: BufferEncoding, done: TransformCallback): void {
    const start = this.#taken
    this.#taken += values.length
    const batch: Batch = { kind: 'values', source: 'input', partition: 'input', values, positionOf: (index) => start + index }
    this.#finish(done, async () => {
      this.#execution.take('input', batch)
      if (this.#execution.hasBoundaries) await this.#execution.settle()
    })
  }

  override _flush(done: TransformCallback): void {
    this.#finish(done, () => this.#execution.finishAll())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#execution.destroy(error ?? undefined)
    done(error)
  }

  #finish(done: TransformCallback, run: () => Promise<void>): void {
    run().then(
      () => {
        for (const port of this.#execution.ports.values()) {
          for (const output of port.take()) {
            if (output.kind === 'events') for (const value of output.values) this.push(value)
            else for (const change of output.changes) if (change.value !== undefined) this.push(change.value)
          }
        }
        done()
      },
      (error: unknown) => done(error instanceof Error ? error : new Error(reasonOf(error), { cause: error })),
    )
  }
}

