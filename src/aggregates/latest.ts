import type { Aggregate } from '../core/aggregate.ts'
import { pick } from './picked.ts'

/**
 * Something of the value with the greatest time. `by` gives the time in milliseconds since the epoch; a value without one
 * (undefined) is older than any with one. Of equal times the result whose canonical JSON text is greater by bytes is the last.
 * Accumulator: `[time, result]`.
 *
 * @example
 * ```ts
 * const last = from(memory([{ user: 'ann', action: 'view', at: 1 }, { user: 'ann', action: 'buy', at: 2 }]))
 *   .pipe(keyBy((click) => click.user))
 *   .pipe(aggregate(latest((click) => click.action, { by: (click) => click.at }))) // { key: 'ann', value: 'buy' }
 * ```
 */
export function latest<In, Out>(
  of: (value: In) => Out,
  options: { readonly by: (value: In) => number | undefined },
): Aggregate<In, unknown, Out> {
  return pick({ name: 'latest', of, rank: options.by, empty: null as Out }) as Aggregate<In, unknown, Out>
}
