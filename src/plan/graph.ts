import type { AnyOperator } from '../core/operator.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Source } from '../sources/source.ts'

/** What the builder builds: immutable nodes that know their inputs. The plan is made from the sinks up. */
export type GraphNode = SourceNode | OperatorNode | SideNode | UnionNode

export interface SourceNode {
  readonly type: 'source'
  readonly source: Source<unknown>
  readonly name: string | undefined
}

export interface OperatorNode {
  readonly type: 'operator'
  readonly operator: AnyOperator
  readonly input: GraphNode
}

export interface SideNode {
  readonly type: 'side'
  readonly of: OperatorNode
  readonly output: string
}

export interface UnionNode {
  readonly type: 'union'
  readonly inputs: readonly GraphNode[]
}

/** A stream that ends in a sink. */
export interface FlowNode {
  readonly type: 'flow'
  readonly input: GraphNode
  readonly sink: Sink<unknown>
  readonly name: string | undefined
}
