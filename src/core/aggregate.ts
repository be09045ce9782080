/**
 * How many values become one: at once the streaming update, the combiner, the reducer and the snapshot.
 *
 * Laws, which `aggregateLaws` of `millrace/testing` checks: `merge` is associative and commutative, `init()` is its neutral element,
 * and `add(a, v)` equals `merge(a, add(init(), v))`. `add`, `merge` and `remove` may change and return the left accumulator, and only
 * that one; `finish` changes nothing and shares nothing with it.
 *
 * An accumulator is a JSON value: between mapper and reducer, and in a checkpoint, it is what `JSON.stringify` makes of it. One that
 * holds other things (a `Map`, a `Set`) says how it is written by `encode` and `decode`.
 *
 * @example
 * ```ts
 * const longest: Aggregate<string, string, number> = {
 *   name: 'longest',
 *   init: () => '',
 *   add: (a, value) => (value.length > a.length ? value : a),
 *   merge: (a, b) => (b.length > a.length ? b : a),
 *   finish: (a) => a.length,
 * }
 * ```
 */
export interface Aggregate<In, Acc, Out> {
  readonly name: string
  init: () => Acc
  add: (accumulator: Acc, value: In) => Acc
  merge: (left: Acc, right: Acc) => Acc
  /** Takes back a value that was added. With it an aggregate over a table need not keep every row that it was made of. */
  remove?: (accumulator: Acc, value: In) => Acc
  finish: (accumulator: Acc) => Out
  encode?: (accumulator: Acc) => unknown
  decode?: (json: unknown) => Acc
}

// biome-ignore lint/suspicious/noExplicitAny: an aggregate of whatever types; `any` because both In and Out must be accepted.
export type AnyAggregate = Aggregate<any, any, any>

/** The text in which an accumulator crosses every cut. */
export function encodeAccumulator(aggregate: AnyAggregate, accumulator: unknown): string {
  return JSON.stringify(aggregate.encode === undefined ? accumulator : aggregate.encode(accumulator)) ?? 'null'
}

export function decodeAccumulator(aggregate: AnyAggregate, text: string): unknown {
  const json: unknown = JSON.parse(text)
  return aggregate.decode === undefined ? json : aggregate.decode(json)
}
