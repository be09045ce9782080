import type { Aggregate } from '../core/aggregate.ts'
import { compareCanonical } from '../core/canonical.ts'

/**
 * What is kept of the best value so far: its rank (null: it has none) and what is wanted of it; null before the first. An object and
 * not an array: one line of the processor's cache instead of two, and the rank is changed in place, which shows with many keys.
 */
export type Picked<Out> = { rank: number | null; out: Out } | null

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
  const { name, of, rank: rankOf, empty } = options
  return {
    name,
    init: () => null,
    add: (held, value) => {
      const given = rankOf(value)
      // What JSON cannot hold is no rank.
      const rank = given !== undefined && Number.isFinite(given) ? given : null
      if (held === null) return { rank, out: wanted(of(value)) }
      // Most values are older than the newest: then nothing more is asked of them.
      if (rank !== null && held.rank !== null && rank < held.rank) return held
      return better(held, rank, wanted(of(value)))
    },
    merge: (left, right) => {
      if (right === null) return left
      return left === null ? { rank: right.rank, out: right.out } : better(left, right.rank, right.out)
    },
    finish: (held) => (held === null ? empty : held.out),
  }
}

/** Puts the other in the place of what is held, if it wins. */
function better<Out>(held: NonNullable<Picked<Out>>, rank: number | null, out: Out): NonNullable<Picked<Out>> {
  const wins =
    rank === held.rank
      ? out !== held.out && compareCanonical(out, held.out) > 0
      : rank !== null && (held.rank === null || rank > held.rank)
  if (wins) {
    held.rank = rank
    held.out = out
  }
  return held
}

/** JSON has no undefined: null in its place, so that both engines give the same. */
function wanted<Out>(out: Out): Out {
  return out === undefined ? (null as Out) : out
}
