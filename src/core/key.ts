import { canonicalText, compareBytes } from './canonical.ts'
import { MillraceError, show } from './errors.ts'

/** What a stream can be keyed by. */
export type Key = string | number | boolean | readonly Key[]

export interface Keyed<K, V> {
  readonly key: K
  readonly value: V
}

/** The text of a key that the state, the hash, the shuffle and the sort use. It holds no raw TAB, CR or LF. */
export function keyText(key: Key): string {
  return typeof key === 'string' ? JSON.stringify(key) : canonicalText(key)
}

/** The key of a canonical text. */
export function parseKey(text: string): Key {
  return JSON.parse(text) as Key
}

/** Refuses what is no key, with the value; `-0` becomes `0`, for JSON knows no other. */
export function checkKey(key: unknown): Key {
  if (typeof key === 'string' || typeof key === 'boolean') return key
  if (typeof key === 'number' && Number.isFinite(key)) return key + 0
  if (Array.isArray(key)) return key.map(checkKey)
  throw new MillraceError(
    'MLR_ERR_KEY',
    `a key must be a string, a finite number, a boolean or an array of those; got ${show(key)}`,
  )
}

/**
 * A map by key, where equal arrays are one key and 10 and "10" are two. Every key is an ordinary one, `__proto__` too.
 * Strings, numbers and booleans are looked up as they are (no text is made); arrays go down a tree, one level an element.
 */
export class KeyMap<E> {
  readonly #plain = new Map<string | number | boolean, E>()
  #arrays = emptyNode<E>()
  #arrayCount = 0
  readonly #all: E[] = []

  get size(): number {
    return this.#plain.size + this.#arrayCount
  }

  get(key: Key): E | undefined {
    return typeof key === 'object' ? this.#node(key).entry : this.#plain.get(key)
  }

  /** Adds an entry for a key that is not there yet. */
  add(key: Key, entry: E): void {
    if (typeof key === 'object') {
      this.#node(key).entry = entry
      this.#arrayCount++
    } else this.#plain.set(key, entry)
    this.#all.push(entry)
  }

  /** Every entry, in the order in which they came. */
  entries(): readonly E[] {
    return this.#all
  }

  clear(): void {
    this.#plain.clear()
    this.#arrays = emptyNode<E>()
    this.#arrayCount = 0
    this.#all.length = 0
  }

  #node(key: readonly Key[]): ArrayNode<E> {
    let node = this.#arrays
    for (let i = 0; i < key.length; i++) {
      const element = key[i] as Key
      // An array inside an array is rare: its text will do.
      const level = typeof element === 'object' ? (node.arrays ??= new Map()) : (node.next ??= new Map())
      const name = typeof element === 'object' ? keyText(element) : element
      let next = level.get(name as never)
      if (next === undefined) {
        next = emptyNode<E>()
        level.set(name as never, next)
      }
      node = next
    }
    return node
  }
}

interface ArrayNode<E> {
  next: Map<string | number | boolean, ArrayNode<E>> | undefined
  arrays: Map<string, ArrayNode<E>> | undefined
  entry: E | undefined
}

function emptyNode<E>(): ArrayNode<E> {
  return { next: undefined, arrays: undefined, entry: undefined }
}

/** Strings whose JSON texts are in the order of the strings: no character is escaped, and none is less than the quote that ends them. */
const SORTS_AS_IT_IS = /^[\x23-\x5b\x5d-\x7e]*$/

/** Entries in the order of their keys' canonical bytes. Plain ASCII texts are compared by the engine itself. */
export function sortByKey<E extends { readonly key: Key }>(entries: readonly E[]): E[] {
  if (entries.every(({ key }) => typeof key === 'string' && SORTS_AS_IT_IS.test(key))) {
    // No text is made: with a million keys they would be most of the garbage.
    return entries.toSorted(({ key: a }, { key: b }) => (a < b ? -1 : a > b ? 1 : 0))
  }
  const texts = entries.map((entry) => ({ text: keyText(entry.key), entry }))
  const simple = texts.every(({ text }) => !/[\ud800-\uffff]/.test(text))
  texts.sort(
    simple ? (a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0) : (a, b) => compareBytes(a.text, b.text),
  )
  return texts.map(({ entry }) => entry)
}
