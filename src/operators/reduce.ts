import type { Aggregate } from '../core/aggregate.ts'
import type { Keyed } from '../core/key.ts'
import { checkCallback, labelOf, type Operator } from '../core/operator.ts'
import { aggregate, type Row } from './aggregate.ts'

/**
 * Combines the values of a key, two at a time.
 *
 * `{ key, value }` → `{ key, value }`, many to one per key; state, time and batch as in {@link aggregate}. That the function is
 * associative and commutative is its author's promise: neither the order of the values nor their grouping is given. `verify` tests it.
 *
 * @example
 * ```ts
 * const sums = from(memory([['a', 1], ['a', 2]] as [string, number][]))
 *   .pipe(keyBy(([name]) => name))
 *   .pipe(map(({ key, value }) => ({ key, value: value[1] })))
 *   .pipe(reduce((x, y) => x + y)) // { key: 'a', value: 3 }
 * ```
 */
export function reduce<K, V>(
  fn: (left: V, right: V) => V,
  options: { readonly name?: string } = {},
): Operator<Keyed<K, V>, Row<K, V>> {
  checkCallback('reduce', fn)
  type Held = readonly [] | readonly [V]
  const reducing: Aggregate<V, Held, V> = {
    name: labelOf('reduce', fn),
    init: () => [],
    add: (held, value) => (held.length === 0 ? [value] : [fn(held[0], value)]),
    merge: (left, right) => {
      if (right.length === 0) return left
      return left.length === 0 ? [right[0]] : [fn(left[0], right[0])]
    },
    // A key exists only where a value was.
    finish: (held) => held[0] as V,
  }
  return aggregate<K, V, Held, V>(reducing, options)
}
