import { type Duplex, Transform, type TransformCallback } from 'node:stream'
import { asError, MillraceError } from '../core/errors.ts'
import { LineCutter } from '../core/line-cutter.ts'
import type { Batch } from '../core/record.ts'
import { from, pipeline, type Stream } from '../plan/pipeline.ts'
import type { Plan } from '../plan/plan.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Source } from '../sources/source.ts'
import { Execution } from './execution.ts'

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
  return new Fused(plan)
}

/** The whole plan as one Transform. What is written together goes through the plan by itself: the outer streams are one value a chunk. */
class Fused extends Transform {
  readonly #execution: Execution
  #cutter: LineCutter | undefined
  #taken = 0

  constructor(plan: Plan) {
    super({ objectMode: true })
    this.#execution = new Execution(plan)
    this.on('pipe', (from: { readableObjectMode?: boolean }) => {
      if (from.readableObjectMode !== true) this.#cutter = new LineCutter()
    })
  }

  override _transform(chunk: unknown, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#take(this.#cutter === undefined ? [chunk] : this.#cutter.push(chunk as Uint8Array | string), done)
  }

  override _flush(done: TransformCallback): void {
    const last = this.#cutter?.end()
    this.#take(last === undefined ? [] : [last], (error) => {
      if (error) done(error)
      else this.#settle(this.#execution.finishAll(), done)
    })
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#execution.destroy(error ?? undefined)
    done(error)
  }

  #take(values: readonly unknown[], done: TransformCallback): void {
    const start = this.#taken
    this.#taken += values.length
    const batch: Batch = {
      kind: 'values',
      source: 'input',
      partition: 'input',
      values,
      positionOf: (index) => start + index,
    }
    try {
      this.#execution.take('input', batch)
      // No promise a value where nothing waits.
      if (this.#execution.hasBoundaries) this.#settle(this.#execution.settle(), done)
      else {
        this.#give()
        done()
      }
    } catch (error) {
      done(asError(error))
    }
  }

  #settle(settled: Promise<void>, done: TransformCallback): void {
    settled
      .then(() => this.#give())
      .then(
        () => done(),
        (error: unknown) => done(asError(error)),
      )
  }

  #give(): void {
    for (const port of this.#execution.ports.values()) {
      for (const output of port.take()) {
        if (output.kind === 'events') for (const value of output.values) this.push(value)
        else for (const change of output.changes) if (change.value !== undefined) this.push(change.value)
      }
    }
  }
}
