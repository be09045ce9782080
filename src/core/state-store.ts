import { type Key, KeyMap, sortByKey } from './key.ts'

/**
 * Where an ordered operator keeps its values: by key, and for each key by name. What lies in it is a JSON value. The engine tracks which keys
 * changed (that is what a checkpoint adds), and puts back what a checkpoint holds.
 */
export interface StateStore {
  /** How many keys have a value. */
  readonly size: number
  /** How many keys changed since they were taken last. */
  readonly changes: number
  get(key: Key, name: string): unknown
  set(key: Key, name: string, value: unknown): void
  delete(key: Key, name: string): void
  /** Hands over each key that changed since the last call, in the order of the keys: its values as JSON text, or null where it has none. */
  takeChanged(take: (key: Key, values: string | null) => void): void
  /** Puts back what `takeChanged` had given. It counts as unchanged. */
  restore(key: Key, values: string): void
  clear(): void
}

interface Held {
  readonly key: Key
  /** Without a prototype: a state may be named `__proto__`. */
  values: Record<string, unknown>
  count: number
  changed: boolean
}

/** All of it in memory: what a process holds bounds how many keys there can be. */
export class MemoryStateStore implements StateStore {
  readonly #held = new KeyMap<Held>()
  #changed: Held[] = []
  readonly #overWire: boolean
  #size = 0

  /** With `overWire` each value goes through its JSON text at once, as it would through a checkpoint; tests run so. */
  constructor({ overWire = false }: { readonly overWire?: boolean } = {}) {
    this.#overWire = overWire
  }

  get size(): number {
    return this.#size
  }

  get changes(): number {
    return this.#changed.length
  }

  get(key: Key, name: string): unknown {
    return this.#held.get(key)?.values[name]
  }

  set(key: Key, name: string, value: unknown): void {
    const held = this.#held.get(key) ?? this.#add(key)
    if (!(name in held.values) && held.count++ === 0) this.#size++
    held.values[name] = this.#overWire ? JSON.parse(JSON.stringify(value) ?? 'null') : value
    this.#touch(held)
  }

  delete(key: Key, name: string): void {
    const held = this.#held.get(key)
    if (held === undefined || !(name in held.values)) return
    delete held.values[name]
    if (--held.count === 0) this.#size--
    this.#touch(held)
  }

  takeChanged(take: (key: Key, values: string | null) => void): void {
    const changed = sortByKey(this.#changed)
    this.#changed = []
    for (const held of changed) {
      held.changed = false
      take(held.key, held.count === 0 ? null : JSON.stringify(held.values))
    }
  }

  restore(key: Key, values: string): void {
    const held = this.#add(key)
    held.values = Object.assign(empty(), JSON.parse(values))
    held.count = Object.keys(held.values).length
    this.#size++
  }

  clear(): void {
    this.#held.clear()
    this.#changed = []
    this.#size = 0
  }

  #add(key: Key): Held {
    const held: Held = { key, values: empty(), count: 0, changed: false }
    this.#held.add(key, held)
    return held
  }

  #touch(held: Held): void {
    if (held.changed) return
    held.changed = true
    this.#changed.push(held)
  }
}

function empty(): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>
}
