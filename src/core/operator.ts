import type { Transform } from 'node:stream'
import type { AnyAggregate } from './aggregate.ts'
import { MillraceError } from './errors.ts'
import type { Key } from './key.ts'
import { OperatorStream } from './operator-stream.ts'
import type { LineBatch, RecordInfo } from './record.ts'
import type { StateStore } from './state-store.ts'
import { fuseSteps, type Step } from './steps.ts'

export type Emit<Out> = (value: Out) => void

/** What the framework gives to an operator that it opens. */
export interface OperatorContext {
  /** The source record that is being processed: one object that moves along. */
  readonly record: RecordInfo
  /** Event time has come this far, in milliseconds since the epoch; `-Infinity` where there is no event time. */
  readonly watermark: number
  /** Adds to a counter of the run, shown at its end under the operator's name. */
  count(counter: string, by?: number): void
  /** Emits to a side output, which `stream.side(output)` reads. */
  side(output: string, value: unknown): void
  /** For `processBatch` and `processLines`: the value at this index of the batch is next, so that `record` is right. */
  at(index: number): void
  /** Only for operators of kind 'ordered', from engines that keep their state. */
  readonly keyedState?: StateStore
  /** The operator cannot take this record: by its `onError` the run fails here, or the record is skipped and counted. */
  reject(error: unknown, value?: unknown, record?: RecordInfo): void
}

/**
 * An opened operator. `process` is synchronous and calls `emit` zero or more times. Functions are properties, not methods, so that
 * TypeScript checks their parameters strictly.
 */
export interface Processor<In> {
  process: (value: In) => void
  /** Only at the head of a stage: all values of a batch at once, with the same result as one by one. */
  processBatch?: (values: readonly In[]) => void
  /** Only at the head of a stage: a block of lines that was not cut yet. Returns how many records there were. */
  processLines?: (lines: LineBatch) => number
  /** Event time has come this far. */
  advance?: (watermark: number) => void
  /** There are no more values. */
  flush?: () => void
}

/** An opened boundary: it may wait. The promise of `process` resolves when the next value may come. */
export interface AsyncProcessor<In> {
  process: (value: In) => void | Promise<void>
  /** There is no more input. Resolves when everything has been emitted. */
  flush: () => void | Promise<void>
  /** Resolves when everything that was given has been emitted; more may be given. What has no such moment goes with no checkpoints. */
  drain?: () => void | Promise<void>
  /** The run failed or was cut off: let go of what is held. */
  destroy?: (error?: Error) => void
}

/** What a boundary emits: a value, and the record that it came from. */
export type EmitFrom<Out> = (value: Out, record: RecordInfo) => void

export type OperatorKind = 'stateless' | 'key' | 'aggregate' | 'ordered' | 'boundary' | 'join'

/** Where a record goes that an operator cannot take: `fail` ends the run, `skip` counts and logs it, a sink gets it as a dead letter. */
export type OnError = 'fail' | 'skip' | DeadLetterSink

/** A sink, as far as the core needs to know it. */
export interface DeadLetterSink {
  readonly sink: object
}

export interface OperatorOptions {
  /** The operator's name in plans, errors and counters. */
  readonly name?: string
  readonly onError?: OnError
}

interface Readable<Out> extends Transform {
  pipe<Next>(operator: Operator<Out, Next>, options?: { end?: boolean }): Piped<Next>
  pipe<Destination extends NodeJS.WritableStream>(destination: Destination, options?: { end?: boolean }): Destination
}

/** A plain Node stream made of operators. It has no `open`, so it can't be passed where an operator belongs. */
export interface Piped<Out> extends Readable<Out> {}

/**
 * A description of one step, and a Transform of its own. In a pipeline only `open` counts, and one value may stand in many
 * pipelines; on a plain stream it is a single-use object-mode Transform, like every Node stream.
 */
export interface Operator<In, Out> extends Readable<Out> {
  readonly kind: OperatorKind
  readonly label: string
  open: (emit: Emit<Out>, context: OperatorContext) => Processor<In>
  /** What the plan goes by. */
  readonly definition: OperatorDefinition<In, Out>
}

// biome-ignore lint/suspicious/noExplicitAny: an operator of whatever types; `any` because both In and Out must be accepted.
export type AnyOperator = Operator<any, any>

/** Everything that the plan and the engines know of an operator; the parts that belong to its kind are set. */
export interface OperatorDefinition<In, Out> {
  readonly kind: OperatorKind
  readonly label: string
  readonly name?: string | undefined
  readonly onError?: OnError | undefined
  /** Gives the same output for the same input, each time. False for what asks the outside world. */
  readonly repeatable?: boolean
  readonly open: (emit: Emit<Out>, context: OperatorContext) => Processor<In>
  /** It is one function of a value: then `open` comes from that. */
  readonly step?: Step
  /** kind 'key' */
  readonly keyOf?: (value: In, record: RecordInfo) => Key
  /** kind 'aggregate' */
  readonly aggregate?: AnyAggregate
  /** kind 'ordered': the record's own time, by which a batch sorts. */
  readonly timeOf?: (value: unknown, record: RecordInfo) => number | undefined
  /** kind 'ordered': what its state means; another number, another meaning. */
  readonly version?: number
  /** kind 'boundary' */
  /** `failed` tells an error that no call of `process` can throw, for it came between two of them. */
  readonly openAsync?: (
    emit: EmitFrom<Out>,
    context: OperatorContext,
    failed: (error: unknown) => void,
  ) => AsyncProcessor<In>
  /** kind 'boundary': each value gives exactly one, in order, so that a table stays a table. */
  readonly oneToOne?: boolean
  /** kind 'boundary': it can tell when nothing is inside of it (`drain`), so a checkpoint can be made then. */
  readonly drains?: boolean
  /** Takes texts; on a plain stream it cuts the chunks of a byte stream into lines by itself. */
  readonly takesLines?: boolean
}

/** Makes an operator of its definition: how all of ours are made. */
export function createOperator<In, Out>(definition: OperatorDefinition<In, Out>): Operator<In, Out> {
  // The class cannot say in types that its `pipe` also takes operators; the interface does.
  return new OperatorStream(definition) as unknown as Operator<In, Out>
}

/** Makes an operator that is one function of a value. */
export function createStep<In, Out>(type: Step['type'], fn: Step['fn'], options: OperatorOptions): Operator<In, Out> {
  checkCallback(type, fn)
  const step: Step = { type, fn }
  return createOperator<In, Out>({
    kind: 'stateless',
    label: labelOf(type, fn),
    ...options,
    step,
    open: (emit, context) => ({ process: fuseSteps([{ step, context }], emit as Emit<unknown>) }),
  })
}

/** `map(toRow)` for a named function, `map` for any other. */
export function labelOf(kind: string, fn: unknown): string {
  const name = typeof fn === 'function' ? fn.name : ''
  return name === '' || name === 'fn' ? kind : `${kind}(${name})`
}

/** Refuses a callback that is no function or is async: inside a stage nothing waits. */
export function checkCallback(kind: string, fn: unknown): void {
  if (typeof fn !== 'function') {
    throw new MillraceError('MLR_ERR_PLAN', `${kind} takes a function; got ${fn === null ? 'null' : typeof fn}`)
  }
  if (fn.constructor.name === 'AsyncFunction') {
    throw new MillraceError(
      'MLR_ERR_PLAN',
      `${labelOf(kind, fn)}: the function is async, and inside a stage nothing waits — use mapAsync, or await before the pipeline`,
    )
  }
}
