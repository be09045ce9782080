import { MillraceError, show } from '../core/errors.ts'
import type { AnyOperator, Operator } from '../core/operator.ts'
import { OperatorStream } from '../core/operator-stream.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Source } from '../sources/source.ts'
import { describe } from './describe.ts'
import type { FlowNode, GraphNode } from './graph.ts'
import { makePlan, type Plan } from './plan.ts'

/** An immutable value: pipe from it as often as you like, each time is a branch. */
export interface Stream<T> {
  /** The stream after this operator. */
  pipe<Out>(operator: Operator<T, Out>): Stream<Out>
  /** Ends it in a sink. */
  to(sink: Sink<T>, options?: { readonly name?: string }): Flow
  /** What the last operator emitted to this side output. */
  side<Out = unknown>(output: string): Stream<Out>
}

/** A stream that ends in a sink: what a pipeline is made of. */
export interface Flow {
  readonly streams: readonly unknown[]
}

/** A name and what flows under it; frozen and checked. */
export interface Pipeline {
  readonly name: string
  /** The plan as text: operators, stages, cuts, streams and tables, and what each engine runs. */
  describe(): string
  /** The frozen graph that the engines run. */
  readonly plan: Plan
}

class BuiltStream<T> implements Stream<T> {
  readonly node: GraphNode

  constructor(node: GraphNode) {
    this.node = node
    Object.freeze(this)
  }

  pipe<Out>(operator: Operator<T, Out>): Stream<Out> {
    checkOperator(operator)
    return new BuiltStream<Out>({ type: 'operator', operator, input: this.node })
  }

  to(sink: Sink<T>, options: { readonly name?: string } = {}): Flow {
    if (typeof sink?.sink?.open !== 'function') {
      throw new MillraceError(
        'MLR_ERR_PLAN',
        `to takes a sink, such as stdout() or file('out.json'); got ${show(sink)}`,
      )
    }
    const flow: FlowNode = { type: 'flow', input: this.node, sink: sink as Sink<unknown>, name: options.name }
    return new BuiltFlow(flow)
  }

  side<Out = unknown>(output: string): Stream<Out> {
    if (this.node.type !== 'operator') {
      throw new MillraceError(
        'MLR_ERR_PLAN',
        `side('${output}'): only an operator has side outputs, and this stream is a ${this.node.type}`,
      )
    }
    return new BuiltStream<Out>({ type: 'side', of: this.node, output })
  }
}

class BuiltFlow implements Flow {
  readonly node: FlowNode
  readonly streams: readonly unknown[]

  constructor(node: FlowNode) {
    this.node = node
    this.streams = [node.input]
    Object.freeze(this)
  }
}

class BuiltPipeline implements Pipeline {
  readonly name: string
  readonly plan: Plan

  constructor(plan: Plan) {
    this.name = plan.name
    this.plan = plan
    Object.freeze(this)
  }

  describe(): string {
    return describe(this.plan)
  }
}

function checkOperator(operator: AnyOperator): void {
  const given: unknown = operator
  if (!(given instanceof OperatorStream)) {
    throw new MillraceError(
      'MLR_ERR_PLAN',
      `pipe takes an operator, such as map(…); got ${show(given)} — for a stream of your own use through(() => stream)`,
    )
  }
  if (given.usedAsStream) {
    throw new MillraceError(
      'MLR_ERR_PLAN',
      `${given.label} was piped as a plain Node stream, so it can't stand in a pipeline: the operators piped to it would be lost — pass each operator to pipe by itself`,
    )
  }
}

/**
 * A stream of what a source gives.
 *
 * @example
 * ```ts
 * const lines = from(file('clicks.ndjson')) // Stream<string>
 * ```
 */
export function from<T>(source: Source<T>, options: { readonly name?: string } = {}): Stream<T> {
  if (typeof source?.source?.open !== 'function') {
    throw new MillraceError(
      'MLR_ERR_PLAN',
      `from takes a source, such as file('clicks.ndjson') or stdin(); got ${show(source)}`,
    )
  }
  return new BuiltStream<T>({ type: 'source', source: source as Source<unknown>, name: options.name })
}

/**
 * The values of several streams in one: each stream's order is kept, between streams there is none. Tables can't be joined so.
 *
 * @example
 * ```ts
 * const both = union(from(memory([1, 2])), from(memory([3])))
 * ```
 */
export function union<T>(...streams: readonly Stream<T>[]): Stream<T> {
  if (streams.length === 0) throw new MillraceError('MLR_ERR_PLAN', 'union takes at least one stream')
  return new BuiltStream<T>({ type: 'union', inputs: streams.map((stream) => nodeOf(stream)) })
}

/**
 * Names one or more flows and checks them: every mistake is told at once, here.
 *
 * @example
 * ```ts
 * const doubled = pipeline('doubled', from(memory([1, 2])).pipe(map((n) => n * 2)).to(stdout()))
 * ```
 */
export function pipeline(name: string, ...flows: readonly [Flow, ...Flow[]]): Pipeline {
  if (typeof name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw new MillraceError('MLR_ERR_PLAN', `a pipeline's name is letters, digits, '.', '_' and '-'; got ${show(name)}`)
  }
  const nodes = flows.map((flow) => {
    if (flow instanceof BuiltFlow) return flow.node
    const hint = flow instanceof BuiltStream ? ' — end the stream in a sink: .to(stdout())' : ''
    throw new MillraceError('MLR_ERR_PLAN', `pipeline '${name}' takes flows; got ${show(flow)}${hint}`)
  })
  if (nodes.length === 0) throw new MillraceError('MLR_ERR_PLAN', `pipeline '${name}' has no flow`)
  return new BuiltPipeline(makePlan(name, nodes))
}

export function isPipeline(value: unknown): value is Pipeline {
  return value instanceof BuiltPipeline
}

function nodeOf(stream: unknown): GraphNode {
  if (stream instanceof BuiltStream) return stream.node
  throw new MillraceError('MLR_ERR_PLAN', `expected a stream; got ${show(stream)}`)
}
