import type { Aggregate } from '../core/aggregate.ts'
import { checkNumber } from './exact-sum.ts'

/** The better of two numbers, null being none. */
export function extreme<In>(
  name: 'min' | 'max',
  of: (value: In) => number,
): Aggregate<In, number | null, number | null> {
  const better = name === 'min' ? Math.min : Math.max
  const merge = (left: number | null, right: number | null): number | null => {
    if (left === null) return right
    return right === null ? left : better(left, right)
  }
  return {
    name,
    init: () => null,
    // `+ 0`: JSON knows no -0.
    add: (held, value) => merge(held, checkNumber(of(value), name) + 0),
    merge,
    finish: (held) => held,
  }
}
