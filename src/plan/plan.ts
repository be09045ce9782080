import { MillraceError } from '../core/errors.ts'
import type { AnyOperator, DeadLetterSink, OperatorKind } from '../core/operator.ts'
import { OperatorStream } from '../core/operator-stream.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Source } from '../sources/source.ts'
import type { FlowNode, GraphNode, OperatorNode, SourceNode } from './graph.ts'

/**
 * The frozen graph, seen from the sources down. Unions are gone (what reads a union is a target of each of its inputs), and a side
 * output's readers are targets of the operator that emits to it.
 */
export interface Plan {
  readonly name: string
  readonly sources: readonly PlannedSource[]
  /** Every operator, inputs before outputs. */
  readonly operators: readonly PlannedOperator[]
  readonly flows: readonly PlannedFlow[]
}

export type Target = PlannedOperator | PlannedFlow

export interface PlannedSource {
  readonly type: 'source'
  readonly name: string
  readonly source: Source<unknown>
  readonly targets: Target[]
}

export interface PlannedOperator {
  readonly type: 'operator'
  /** Number and label: what errors, counters and `describe` call it. */
  readonly id: string
  /** What state is kept under: the given name, else the kind and its number among the stateful operators of that kind. */
  readonly name: string
  readonly kind: OperatorKind
  readonly operator: AnyOperator
  /** What comes in: events, or rows that replace each other. */
  readonly over: Shape
  readonly gives: Shape
  readonly targets: Target[]
  readonly sides: Map<string, Target[]>
}

export interface PlannedFlow {
  readonly type: 'flow'
  readonly name: string
  readonly sink: Sink<unknown>
  readonly over: Shape
}

export type Shape = 'stream' | 'table'

/** Which kind of cut an operator makes. */
export function cutOf(operator: PlannedOperator): 'aggregating' | 'ordered' | undefined {
  if (operator.kind === 'aggregate') return 'aggregating'
  return operator.kind === 'ordered' || operator.kind === 'join' ? 'ordered' : undefined
}

/** The sinks that operators name for their dead letters, each once. */
export function deadLetterSinks(plan: Plan): readonly DeadLetterSink[] {
  const sinks = new Set<DeadLetterSink>()
  for (const { operator } of plan.operators) {
    const onError = operator.definition.onError
    if (typeof onError === 'object') sinks.add(onError)
  }
  return [...sinks]
}

/** The chain of aggregating cuts that a flow's rows go through, first to last. Empty: no reducer is needed. */
export function cutsOf(plan: Plan, flow: PlannedFlow): readonly PlannedOperator[] {
  return plan.operators.filter((operator) => cutOf(operator) !== undefined && leadsTo(operator, flow))
}

/** Whether a row that a flow's sink was given can go away again: by a filter after the aggregate, or for its own rows went. */
export function canRemoveRows(plan: Plan, flow: PlannedFlow): boolean {
  const last = cutsOf(plan, flow).at(-1)
  if (last === undefined) return false
  const after = plan.operators.filter(
    (operator) => operator !== last && leadsTo(last, operator) && leadsTo(operator, flow),
  )
  const keepsRows = ({ operator }: PlannedOperator): boolean =>
    ['map', 'tap'].includes(operator.definition.step?.type ?? '')
  return last.over === 'table' || !after.every(keepsRows)
}

/** The sources that a target is fed from. */
export function sourcesOf(plan: Plan, goal: Target): readonly PlannedSource[] {
  return plan.sources.filter((source) => source.targets.some((target) => target === goal || leadsTo(target, goal)))
}

/** Whether values of an operator come to `goal`. */
export function leadsTo(from: Target, goal: Target): boolean {
  if (from === goal) return true
  if (from.type === 'flow') return false
  return [from.targets, ...from.sides.values()].some((targets) => targets.some((target) => leadsTo(target, goal)))
}

/** Makes the plan of a pipeline's flows, or throws one error that tells every mistake. */
export function makePlan(name: string, flows: readonly FlowNode[]): Plan {
  return new Planner(name).plan(flows)
}

class Planner {
  readonly #pipeline: string
  readonly #sources = new Map<Source<unknown>, PlannedSource>()
  readonly #operators = new Map<OperatorNode, PlannedOperator>()
  readonly #statefulOfKind = new Map<OperatorKind, number>()
  readonly #mistakes: string[] = []

  constructor(pipeline: string) {
    this.#pipeline = pipeline
  }

  plan(flows: readonly FlowNode[]): Plan {
    const planned = flows.map((flow, i) => this.#flow(flow, this.#flowName(flow, i, flows)))
    this.#refuseTwice(
      'flow',
      planned.map((flow) => flow.name),
    )
    this.#refuseTwice(
      'source',
      [...this.#sources.values()].map((source) => source.name),
    )
    const stateful = [...this.#operators.values()].filter((operator) => cutOf(operator) !== undefined)
    this.#refuseTwice(
      'stateful operator',
      stateful.map((operator) => operator.name),
    )
    if (this.#mistakes.length > 0) {
      const list =
        this.#mistakes.length === 1 ? this.#mistakes[0] : this.#mistakes.map((mistake) => `\n  - ${mistake}`).join('')
      throw new MillraceError('MLR_ERR_PLAN', `${list}`, { where: this.#pipeline })
    }
    return Object.freeze({
      name: this.#pipeline,
      sources: [...this.#sources.values()],
      operators: [...this.#operators.values()],
      flows: planned,
    })
  }

  #flowName(flow: FlowNode, index: number, flows: readonly FlowNode[]): string {
    if (flow.name !== undefined) return flow.name
    const kind = flow.sink.sink.kind
    const before = flows
      .slice(0, index)
      .filter((other) => other.name === undefined && other.sink.sink.kind === kind).length
    return before === 0 ? kind : `${kind}-${before + 1}`
  }

  #flow(node: FlowNode, name: string): PlannedFlow {
    const shape = this.#visit(node.input)
    const flow: PlannedFlow = { type: 'flow', name, sink: node.sink, over: shape }
    this.#attach(node.input, flow)
    return flow
  }

  /** Plans a node with everything above it; gives the shape of what comes out of it. */
  #visit(node: GraphNode): Shape {
    switch (node.type) {
      case 'source': {
        this.#source(node)
        return 'stream'
      }
      case 'operator':
        return this.#operator(node).gives
      case 'side':
        return this.#operator(node.of).over
      case 'union': {
        const shapes = node.inputs.map((input) => this.#visit(input))
        if (shapes.includes('table')) {
          this.#mistakes.push(
            'union: a table (the rows after an aggregate) has no order to be joined in — union the streams before keyBy',
          )
        }
        return 'stream'
      }
    }
  }

  #source(node: SourceNode): PlannedSource {
    let planned = this.#sources.get(node.source)
    if (planned === undefined) {
      const kind = node.source.source.kind
      const before = [...this.#sources.keys()].filter((other) => other.source.kind === kind).length
      const name = node.name ?? (before === 0 ? kind : `${kind}-${before + 1}`)
      planned = { type: 'source', name, source: node.source, targets: [] }
      this.#sources.set(node.source, planned)
    }
    return planned
  }

  #operator(node: OperatorNode): PlannedOperator {
    const known = this.#operators.get(node)
    if (known !== undefined) return known
    const over = this.#visit(node.input)
    const { operator } = node
    const { kind } = operator
    const { definition } = operator
    const nth = (this.#statefulOfKind.get(kind) ?? 0) + 1
    this.#statefulOfKind.set(kind, nth)
    const planned: PlannedOperator = {
      type: 'operator',
      id: `${this.#operators.size + 1} ${definition.name ?? operator.label}`,
      name: definition.name ?? (nth === 1 ? kind : `${kind}-${nth}`),
      kind,
      operator,
      over,
      gives: kind === 'aggregate' ? 'table' : over,
      targets: [],
      sides: new Map(),
    }
    this.#operators.set(node, planned)
    this.#check(node, planned)
    this.#attach(node.input, planned)
    return planned
  }

  #check(node: OperatorNode, { id, kind, operator, over }: PlannedOperator): void {
    const where = `step ${id}`
    if (operator instanceof OperatorStream && operator.usedAsStream) {
      this.#mistakes.push(`${where}: was piped as a plain Node stream; pass it to the pipeline alone`)
    }
    if (
      (kind === 'aggregate' || kind === 'ordered') &&
      !(node.input.type === 'operator' && node.input.operator.kind === 'key')
    ) {
      const keyed = node.input.type !== 'source' && this.#comesFromKey(node.input)
      if (!keyed) this.#mistakes.push(`${where}: needs keys — put keyBy((value) => …) before it`)
    }
    if (kind === 'boundary' && over === 'table') {
      this.#mistakes.push(
        `${where}: waits, and rows of a table can't wait yet — put it before keyBy, or into the code that reads the sink`,
      )
    }
    if (kind === 'ordered' && over === 'table') {
      this.#mistakes.push(
        `${where}: sees records one after the other, and rows of a table replace each other — put it before the aggregate`,
      )
    }
  }

  /** A map may stand between keyBy and aggregate, and a union may join keyed streams. */
  #comesFromKey(node: GraphNode): boolean {
    if (node.type === 'operator') {
      if (node.operator.kind === 'key') return true
      return node.operator.kind === 'stateless' && this.#comesFromKey(node.input)
    }
    if (node.type === 'union') return node.inputs.every((input) => this.#comesFromKey(input))
    return false
  }

  #attach(node: GraphNode, target: Target): void {
    if (node.type === 'source') this.#source(node).targets.push(target)
    else if (node.type === 'operator') this.#operator(node).targets.push(target)
    else if (node.type === 'union') for (const input of node.inputs) this.#attach(input, target)
    else {
      const { sides } = this.#operator(node.of)
      sides.set(node.output, [...(sides.get(node.output) ?? []), target])
    }
  }

  #refuseTwice(what: string, names: readonly string[]): void {
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined)
      this.#mistakes.push(`two of its ${what}s are named '${twice}' — name one of them: { name: '…' }`)
  }
}
