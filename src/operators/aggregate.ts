import type { Aggregate } from '../core/aggregate.ts'
import { MillraceError } from '../core/errors.ts'
import type { Keyed } from '../core/key.ts'
import { KeyedState } from '../core/keyed-state.ts'
import { createOperator, type Operator } from '../core/operator.ts'

/** The current row of a key. */
export interface Row<K, V> {
  readonly key: K
  readonly value: V
}

/**
 * Makes one row of all values of a key: a stream becomes a table.
 *
 * `{ key, value }` → `{ key, value: finished }`, many to one per key. State: one accumulator a key. On bounded input each row comes
 * once, at the end, in the order of the keys' canonical bytes; live, each row that changed comes at the next tick. In batch: the cut
 * between mapper (with combiner) and reducer.
 *
 * Over a table it takes each row once: a new version of a row replaces what the old one contributed. Where the aggregate throws, the
 * run fails: half an update cannot be skipped.
 *
 * @example
 * ```ts
 * const clicks = from(memory([{ user: 'ann' }, { user: 'ann' }]))
 * const table = clicks.pipe(keyBy((click) => click.user)).pipe(aggregate(count())) // { key: 'ann', value: 2 }
 * ```
 */
export function aggregate<K, In, Acc, Out>(
  by: Aggregate<In, Acc, Out>,
  options: { readonly name?: string } = {},
): Operator<Keyed<K, In>, Row<K, Out>> {
  if (
    typeof by?.init !== 'function' ||
    typeof by.add !== 'function' ||
    typeof by.merge !== 'function' ||
    typeof by.finish !== 'function'
  ) {
    throw new MillraceError(
      'MLR_ERR_PLAN',
      'aggregate takes an Aggregate: an object with name, init, add, merge and finish',
    )
  }
  return createOperator<Keyed<K, In>, Row<K, Out>>({
    kind: 'aggregate',
    label: `aggregate(${by.name})`,
    name: options.name,
    aggregate: by,
    open: (emit) => {
      const state = new KeyedState(by)
      return {
        process: ({ key, value }) => void state.add(key as never, value),
        flush: () => {
          for (const { key, accumulator } of state.takeChanged())
            emit({ key: key as K, value: by.finish(accumulator as Acc) })
        },
      }
    },
  })
}
