import type { Aggregate } from '../core/aggregate.ts'
import { pick } from './picked.ts'

/**
 * Something of the value with the least time. A value without a time (undefined) is later than any with one. Of equal times the
 * result whose canonical JSON text is greater by bytes is the first. Accumulator: `[-time, result]`.
 *
 * @example
 * ```ts
 * const first = from(memory([{ user: 'ann', page: '/', at: 1 }, { user: 'ann', page: '/a', at: 2 }]))
 *   .pipe(keyBy((click) => click.user))
 *   .pipe(aggregate(earliest((click) => click.page, { by: (click) => click.at }))) // { key: 'ann', value: '/' }
 * ```
 */
export function earliest<In, Out>(
  of: (value: In) => Out,
  options: { readonly by: (value: In) => number | undefined },
): Aggregate<In, unknown, Out> {
  const rank = (value: In): number | undefined => {
    const time = options.by(value)
    return time === undefined ? undefined : 0 - time
  }
  return pick({ name: 'earliest', of, rank, empty: null as Out }) as Aggregate<In, unknown, Out>
}
