import { checkKey, type Key } from './key.ts'
import type { AnyOperator, Emit, OperatorContext, Processor } from './operator.ts'
import type { Batch, Cursor, LineBatch, RecordInfo } from './record.ts'
import type { StateStore } from './state-store.ts'
import { type BoundStep, fuseSteps } from './steps.ts'

/** An operator in a fused stage, and where its values go. */
export interface FusedOperator {
  /** What the engine knows the operator by. */
  readonly id: string
  readonly operator: AnyOperator
  readonly targets: readonly FusedTarget[]
  /** Where its side outputs go, by name. */
  readonly sides?: ReadonlyMap<string, readonly FusedTarget[]>
  /** Where an operator of kind 'ordered' keeps its values. */
  readonly keyedState?: StateStore | undefined
  /** Values come to an operator of kind 'ordered' as their JSON text would give them, as from a mapper; tests run so. */
  readonly overWire?: boolean | undefined
}

/** The end of a stage: a sink, a boundary, a cut. */
export interface Outlet {
  readonly take: Emit<unknown>
  /** A cut that takes key and value apart, so that no `{ key, value }` need be made for it. */
  readonly takeKeyed?: (key: Key, value: unknown) => void
}

/** The end of a stage that takes keys and values; a map between keyBy and aggregate gives them put together. */
export function keyedOutlet(takeKeyed: (key: Key, value: unknown) => void): Outlet {
  return {
    takeKeyed,
    take: (keyed) => {
      const { key, value } = keyed as { key: unknown; value: unknown }
      takeKeyed(checkKey(key), value)
    },
  }
}

export type FusedTarget = FusedOperator | Outlet

/** What a stage needs of the engine that runs it. */
export interface StageHost {
  readonly cursor: Cursor
  watermark(): number
  count(id: string, counter: string, by: number): void
  /** Throws, or counts and returns. */
  reject(id: string, error: unknown, value: unknown, record?: RecordInfo): void
}

/** A fused stage: takes batches, gives to its outlets. */
export interface FusedStage {
  /** Returns how many records the batch held. */
  take(batch: Batch): number
  /** One value that is no source record: a row of a table. The host has set the cursor. */
  takeValue: Emit<unknown>
  flush(): void
}

/**
 * Fuses a tree of operators into one function, from its leaves to its head: each operator is opened with the `process` of the next
 * one as its `emit`, so between two operators there is one call and nothing else.
 */
export function openFused(
  targets: readonly FusedTarget[],
  host: StageHost,
  malformed: (error: Error) => void,
): FusedStage {
  const flushes: (() => void)[] = []
  const heads = targets.map((target) => open(target, host, flushes))
  const process = fanOut(heads.map((head) => head.process))
  const only = heads.length === 1 ? heads[0] : undefined
  // Opened from the leaves up, flushed from the head down: what the head still gives must reach the leaves.
  flushes.reverse()
  return {
    takeValue: process,
    take: (batch) => {
      host.cursor.origin = batch
      if (batch.kind === 'lines') {
        if (only?.processLines !== undefined) return only.processLines(batch)
        return takeLines(batch, process, host.cursor, malformed)
      }
      const { values } = batch
      if (only?.processBatch !== undefined) only.processBatch(values)
      else {
        for (let i = 0; i < values.length; i++) {
          host.cursor.index = i
          process(values[i])
        }
      }
      return values.length
    },
    flush: () => {
      for (const flush of flushes) flush()
    },
  }
}

function takeLines(
  batch: LineBatch,
  process: Emit<unknown>,
  cursor: Cursor,
  malformed: (error: Error) => void,
): number {
  return batch.eachLine(
    (line, index) => {
      cursor.index = index
      process(line)
    },
    (error, index) => {
      cursor.index = index
      malformed(error)
    },
  )
}

function open(target: FusedTarget, host: StageHost, flushes: (() => void)[]): Processor<unknown> {
  if (!('operator' in target)) return { process: target.take }
  const { definition } = target.operator
  const context = contextOf(target, host, flushes)
  const keyOf = definition.keyOf
  if (
    keyOf !== undefined &&
    target.targets.length > 0 &&
    target.targets.every((next) => 'takeKeyed' in next && next.takeKeyed)
  ) {
    return {
      process: keyInto(
        keyOf,
        target.targets.map((next) => (next as Outlet).takeKeyed!),
        context,
      ),
    }
  }
  if (definition.step !== undefined) return openSteps(target, context, host, flushes)
  const emit = fanOut(target.targets.map((next) => open(next, host, flushes).process))
  const processor = target.operator.open(emit, context)
  if (processor.flush !== undefined) flushes.push(processor.flush)
  if (target.overWire === true) {
    const { process } = processor
    return { process: (keyed) => process(JSON.parse(JSON.stringify(keyed))) }
  }
  return processor
}

/** A longer function is not optimised as a whole. */
const MOST_STEPS = 24

/** This step and those that follow it, as far as nothing branches off, as one function. */
function openSteps(
  first: FusedOperator,
  context: OperatorContext,
  host: StageHost,
  flushes: (() => void)[],
): Processor<unknown> {
  const steps: BoundStep[] = []
  let last = first
  let lastContext = context
  for (;;) {
    steps.push({ step: last.operator.definition.step!, context: lastContext })
    const [next, second] = last.targets
    if (next === undefined || second !== undefined || steps.length === MOST_STEPS) break
    if (!('operator' in next) || next.operator.definition.step === undefined) break
    last = next
    lastContext = contextOf(next, host, flushes)
  }
  return { process: fuseSteps(steps, fanOut(last.targets.map((next) => open(next, host, flushes).process))) }
}

/** `keyBy` straight into its cuts. */
function keyInto(
  keyOf: (value: unknown, record: OperatorContext['record']) => Key,
  cuts: readonly ((key: Key, value: unknown) => void)[],
  context: OperatorContext,
): Emit<unknown> {
  const { record } = context
  const only = cuts.length === 1 ? cuts[0] : undefined
  return (value) => {
    let key: Key
    try {
      key = keyOf(value, record)
    } catch (error) {
      context.reject(error, value)
      return
    }
    if (only !== undefined) only(key, value)
    else for (const cut of cuts) cut(key, value)
  }
}

function fanOut(emits: readonly Emit<unknown>[]): Emit<unknown> {
  const [first, second] = emits
  if (first === undefined) return () => {}
  if (second === undefined) return first
  return (value) => {
    for (const emit of emits) emit(value)
  }
}

function contextOf(node: FusedOperator, host: StageHost, flushes: (() => void)[]): OperatorContext {
  const { id } = node
  const { cursor } = host
  const sides = new Map<string, Emit<unknown>>()
  for (const [name, targets] of node.sides ?? []) {
    sides.set(name, fanOut(targets.map((target) => open(target, host, flushes).process)))
  }
  return {
    record: cursor,
    get watermark() {
      return host.watermark()
    },
    count: (counter, by = 1) => host.count(id, counter, by),
    side: (output, value) => {
      host.count(id, `side ${output}`, 1)
      sides.get(output)?.(value)
    },
    at: (index) => {
      cursor.index = index
    },
    ...(node.keyedState === undefined ? {} : { keyedState: node.keyedState }),
    reject: (error, value, record) => host.reject(id, error, value, record),
  }
}
