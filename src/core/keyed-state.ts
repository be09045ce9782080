import { type AnyAggregate, decodeAccumulator, encodeAccumulator } from './aggregate.ts'
import { type Key, KeyMap, sortByKey } from './key.ts'

/** What is kept for one key. */
export interface KeyState {
  readonly key: Key
  accumulator: unknown
  /** It changed since the last tick. */
  changed: boolean
  /** What live tables remember about a row between ticks; undefined where each row is sent once. */
  memory: RowMemory | undefined
}

export interface RowMemory {
  /** By outlet: how many rows this one became there, or what it contributed to the next aggregate. */
  readonly sent: unknown[]
  /** For an aggregate over a table: how many upstream rows stand behind this key, … */
  contributions: number
  /** … and where the aggregate has no `remove`, what they are. */
  parts: Map<object, unknown[]> | undefined
}

/** A row of a table in a checkpoint. */
export interface SavedRow {
  readonly key: Key
  /** The text of the accumulator; null: the row is gone. */
  readonly accumulator: string | null
  /** By outlet: how many rows it became there, or what it contributed to the next aggregate. */
  readonly sent: readonly unknown[]
}

export function memoryOf(state: KeyState): RowMemory {
  state.memory ??= { sent: [], contributions: 0, parts: undefined }
  return state.memory
}

/**
 * The accumulators of one aggregate, by key: the state of an aggregating cut.
 *
 * With `overWire` every accumulator goes through its JSON text and every value comes in by `merge`, as it would between a mapper
 * and a reducer; tests run so, and what JSON loses shows at once.
 */
export class KeyedState {
  readonly aggregate: AnyAggregate
  readonly #states = new KeyMap<KeyState>()
  readonly #overWire: boolean
  #changed: KeyState[] = []

  constructor(aggregate: AnyAggregate, options: { overWire?: boolean } = {}) {
    this.aggregate = aggregate
    this.#overWire = options.overWire ?? false
  }

  get size(): number {
    return this.#states.size
  }

  /** How many keys changed since they were taken last. */
  get changes(): number {
    return this.#changed.length
  }

  add(key: Key, value: unknown): KeyState {
    const state = this.#stateOf(key)
    const { aggregate } = this
    if (this.#overWire) this.#mergeInto(state, this.#wired(aggregate.add(aggregate.init(), value)))
    else state.accumulator = aggregate.add(state.accumulator, value)
    return state
  }

  /** Puts back what a checkpoint holds of a key. It counts as unchanged. */
  restore(key: Key, accumulator: unknown): KeyState {
    const state: KeyState = { key, accumulator, changed: false, memory: undefined }
    this.#states.add(key, state)
    return state
  }

  /** Every key counts as changed: somebody new wants to hear of all of them. */
  touchAll(): void {
    for (const { key } of this.#states.entries()) this.#stateOf(key)
  }

  get(key: Key): KeyState | undefined {
    return this.#states.get(key)
  }

  merge(key: Key, accumulator: unknown): void {
    const state = this.#stateOf(key)
    this.#mergeInto(state, accumulator)
  }

  /** Takes a value back; only where the aggregate can. */
  remove(key: Key, value: unknown): KeyState {
    const state = this.#stateOf(key)
    state.accumulator = this.aggregate.remove!(state.accumulator, value)
    return state
  }

  /** The state of a key, made if there is none, and marked as changed. */
  touch(key: Key): KeyState {
    return this.#stateOf(key)
  }

  /** The keys that changed since the last call, in the order of the keys' canonical bytes. */
  takeChanged(): readonly KeyState[] {
    const changed = sortByKey(this.#changed)
    this.#changed = []
    for (const state of changed) state.changed = false
    return changed
  }

  /** All of them, in the order in which their keys first came. */
  states(): readonly KeyState[] {
    return this.#states.entries()
  }

  clear(): void {
    this.#states.clear()
    this.#changed = []
  }

  #stateOf(key: Key): KeyState {
    let state = this.#states.get(key)
    if (state === undefined) {
      state = { key: ownCopy(key), accumulator: this.aggregate.init(), changed: false, memory: undefined }
      this.#states.add(state.key, state)
    }
    if (!state.changed) {
      state.changed = true
      this.#changed.push(state)
    }
    return state
  }

  #mergeInto(state: KeyState, accumulator: unknown): void {
    const merged = this.aggregate.merge(state.accumulator, accumulator)
    state.accumulator = this.#overWire ? this.#wired(merged) : merged
  }

  #wired(accumulator: unknown): unknown {
    return decodeAccumulator(this.aggregate, encodeAccumulator(this.aggregate, accumulator))
  }
}

/** A key that was cut from a longer string keeps all of it alive; a key lives long, so it gets bytes of its own. */
function ownCopy(key: Key): Key {
  if (typeof key === 'string') return key.length < 13 ? key : (JSON.parse(JSON.stringify(key)) as string)
  return typeof key === 'object' ? key.map(ownCopy) : key
}
