import type { Aggregate } from '../core/aggregate.ts'
import { compareCanonical } from '../core/canonical.ts'

/** What is kept of the best value so far: its rank (null: it has none) and what is wanted of it. Empty before the first. */
export type Picked<Out> = readonly [] | readonly [rank: number | null, out: Out]

/**
 * One value of many: the one of the greatest rank. A value without a rank is below any with one; of equal ranks the one whose
 * canonical text is greater by bytes wins, so that the order in which they came decides nothing.
 */
export function pick<In, Out>(options: {
  readonly name: string
  readonly of: (value: In) => Out
  readonly rank: (value: In) => number | undefined
  /** What is taken when no value came: it shows only where an aggregate is asked without any. */
  readonly empty: Out
}): Aggregate<In, Picked<Out>, Out> {
  const { name, of, rank, empty } = options
  const wins = (rank: number | null, out: Out, held: readonly [number | null, Out]): boolean => {
    const other = held[0]
    if (rank === other) return out !== held[1] && compareCanonical(out, held[1]) > 0
    if (rank === null) return false
    return other === null || rank > other
  }
  return {
    name,
    init: () => [],
    add: (held, value) => {
      const given = rank(value)
      // What JSON cannot hold is no rank.
      const ranked = given !== undefined && Number.isFinite(given) ? given : null
      if (held.length === 0) return [ranked, wanted(of(value))]
      // Most values are older than the newest: then nothing more is asked of them.
      if (ranked !== null && held[0] !== null && ranked < held[0]) return held
      const out = wanted(of(value))
      return wins(ranked, out, held) ? replace(held, ranked, out) : held
    },
    merge: (left, right) => {
      if (right.length === 0) return left
      if (left.length === 0) return [right[0], right[1]]
      return wins(right[0], right[1], left) ? replace(left, right[0], right[1]) : left
    },
    finish: (held) => (held.length === 0 ? empty : held[1]),
  }
}

/** In place: this runs for every record that is newer than all before. */
function replace<Out>(held: Picked<Out>, rank: number | null, out: Out): Picked<Out> {
  const changing = held as unknown as [number | null, Out]
  changing[0] = rank
  changing[1] = out
  return held
}

/** JSON has no undefined: null in its place, so that both engines give the same. */
function wanted<Out>(out: Out): Out {
  return out === undefined ? (null as Out) : out
}
