import { Transform, type TransformCallback } from 'node:stream'
import { asError, isMillraceError, MillraceError, reasonOf, show } from './errors.ts'
import { LineCutter } from './line-cutter.ts'
import type { AsyncProcessor, OperatorContext, OperatorDefinition, Processor } from './operator.ts'
import { Cursor, type ValueBatch } from './record.ts'
import { emittedNothing } from './steps.ts'

/**
 * An operator as a plain Transform in object mode: one chunk is one value. An operator that takes texts cuts lines by itself when a
 * byte stream (a file, a socket, stdin) is piped into it; from an object stream, and by `write`, each chunk is one text.
 */
export class OperatorStream<In, Out> extends Transform {
  readonly kind: OperatorDefinition<In, Out>['kind']
  readonly label: string
  readonly definition: OperatorDefinition<In, Out>
  readonly open: OperatorDefinition<In, Out>['open']
  /** It has been piped or written to: it is a Node stream now and can't stand in a pipeline. */
  usedAsStream = false

  readonly #cursor = new Cursor()
  #opened: Processor<In> | undefined
  #openedAsync: AsyncProcessor<In> | undefined
  #cutter: LineCutter | undefined
  #taken = 0

  constructor(definition: OperatorDefinition<In, Out>) {
    super({ objectMode: true })
    this.definition = definition
    this.kind = definition.kind
    this.label = definition.name ?? definition.label
    this.open = definition.open
    const origin: ValueBatch = {
      kind: 'values',
      source: 'stream',
      partition: 'stream',
      values: [],
      positionOf: (index) => index,
    }
    this.#cursor.origin = origin
    this.on('pipe', (from: { readableObjectMode?: boolean }) => {
      this.usedAsStream = true
      if (definition.takesLines === true && from.readableObjectMode !== true) this.#cutter = new LineCutter()
    })
  }

  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    this.usedAsStream = true
    return super.pipe(destination, options)
  }

  override _transform(chunk: unknown, _encoding: BufferEncoding, done: TransformCallback): void {
    this.usedAsStream = true
    try {
      if (this.#cutter === undefined) this.#take(chunk as In, done)
      else this.#takeAll(this.#cutter.push(chunk as Uint8Array | string) as readonly unknown[] as readonly In[], done)
    } catch (error) {
      done(asError(error))
    }
  }

  override _flush(done: TransformCallback): void {
    try {
      const last = this.#cutter?.end()
      const finish = (error?: Error | null): void => {
        if (error) done(error)
        else this.#finish(done)
      }
      if (last === undefined) finish()
      else this.#take(last as In, finish)
    } catch (error) {
      done(asError(error))
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#openedAsync?.destroy?.(error ?? undefined)
    done(error)
  }

  #takeAll(values: readonly In[], done: TransformCallback): void {
    if (this.definition.openAsync === undefined) {
      for (const value of values) this.#processor().process(this.#next(value))
      done()
      return
    }
    const takeFrom = (index: number): void => {
      if (index === values.length) done()
      else this.#take(values[index] as In, (error) => (error ? done(error) : takeFrom(index + 1)))
    }
    takeFrom(0)
  }

  #take(value: In, done: TransformCallback): void {
    if (this.definition.openAsync === undefined) {
      this.#processor().process(this.#next(value))
      done()
      return
    }
    const waiting = this.#asyncProcessor().process(this.#next(value))
    if (waiting === undefined) done()
    else
      waiting.then(
        () => done(),
        (error: unknown) => done(asError(error)),
      )
  }

  #finish(done: TransformCallback): void {
    if (this.definition.openAsync === undefined) {
      this.#processor().flush?.()
      done()
      return
    }
    Promise.resolve(this.#asyncProcessor().flush()).then(
      () => done(),
      (error: unknown) => done(asError(error)),
    )
  }

  #next(value: In): In {
    this.#cursor.index = this.#taken++
    return value
  }

  #processor(): Processor<In> {
    this.#opened ??= this.definition.open((value) => this.#emit(value), this.#context())
    return this.#opened
  }

  #asyncProcessor(): AsyncProcessor<In> {
    this.#openedAsync ??= this.definition.openAsync!(
      (value) => this.#emit(value),
      this.#context(),
      (error) => this.destroy(asError(error)),
    )
    return this.#openedAsync
  }

  #emit(value: Out): void {
    if (value === null || value === undefined) throw this.#failed(emittedNothing(value as null | undefined))
    this.push(value)
  }

  #context(): OperatorContext {
    const cursor = this.#cursor
    return {
      record: cursor,
      watermark: -Infinity,
      count: () => {},
      side: (output, value) => void this.emit(`side:${output}`, value),
      at: () => {},
      reject: (error, value) => {
        const onError = this.definition.onError ?? 'fail'
        if (onError === 'fail') throw this.#failed(error, value)
        this.emit('skipped', this.#failed(error, value))
      },
    }
  }

  #failed(error: unknown, value?: unknown): MillraceError {
    const about = value === undefined ? '' : ` (value: ${show(value)})`
    const code = isMillraceError(error) ? error.code : 'MLR_ERR_OPERATOR'
    return new MillraceError(code, `${reasonOf(error)}${about} [record ${this.#taken}]`, {
      cause: error,
      where: this.label,
    })
  }
}
