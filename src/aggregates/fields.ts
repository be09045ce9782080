import type { Aggregate, AnyAggregate } from '../core/aggregate.ts'
import { MillraceError } from '../core/errors.ts'

/**
 * Several aggregates at once: an object with the result of each. Accumulator: their accumulators, in the order of the fields.
 *
 * It is an Aggregate of its own, and not an overload of `aggregate`, for that is what gives the callbacks inside their types.
 *
 * @example
 * ```ts
 * const users = from(memory([{ user: 'ann', price: 2 }, { user: 'ann', price: 3 }]))
 *   .pipe(keyBy((click) => click.user))
 *   .pipe(aggregate(fields({ clicks: count(), spent: sum((click) => click.price) })))
 * // { key: 'ann', value: { clicks: 2, spent: 5 } }
 * ```
 */
export function fields<In, Outs extends Record<string, unknown>>(shape: {
  // biome-ignore lint/suspicious/noExplicitAny: the accumulators' types are the fields' own business.
  [Name in keyof Outs]: Aggregate<In, any, Outs[Name]>
}): Aggregate<In, unknown, Outs> {
  const names = Object.keys(shape)
  if (names.length === 0) throw new MillraceError('MLR_ERR_PLAN', 'fields takes an object with at least one aggregate')
  const parts = names.map((name) => (shape as Record<string, AnyAggregate>)[name] as AnyAggregate)
  const adds = parts.map((part) => part.add)
  const removes = parts.map((part) => part.remove)
  const combined: Aggregate<In, unknown[], Outs> = {
    name: `fields(${names.map((name, i) => `${name}: ${parts[i]?.name}`).join(', ')})`,
    init: () => parts.map((part) => part.init()),
    add: addAll(adds) as (held: unknown[], value: In) => unknown[],
    merge: (left, right) => {
      for (let i = 0; i < parts.length; i++) left[i] = (parts[i] as AnyAggregate).merge(left[i], right[i])
      return left
    },
    finish: (held) => {
      const out: [string, unknown][] = names.map((name, i) => [name, (parts[i] as AnyAggregate).finish(held[i])])
      return Object.fromEntries(out) as Outs
    },
  }
  if (removes.every((remove) => remove !== undefined)) combined.remove = addAll(removes as Step[]) as (held: unknown[], value: In) => unknown[]
  if (parts.some((part) => part.encode !== undefined)) {
    combined.encode = (held) => parts.map((part, i) => (part.encode === undefined ? held[i] : part.encode(held[i])))
    combined.decode = (json) => parts.map((part, i) => decodePart(part, (json as unknown[])[i]))
  }
  return combined as Aggregate<In, unknown, Outs>
}

type Step = (held: unknown, value: unknown) => unknown

function decodePart(part: AnyAggregate, json: unknown): unknown {
  return part.decode === undefined ? json : part.decode(json)
}

/**
 * Each step on its own accumulator. One to three fields are written out: a call through a variable that never changes is inlined, a
 * call through an array element is not, and this runs for every record.
 */
function addAll(steps: readonly Step[]): (held: unknown[], value: unknown) => unknown[] {
  const [a, b, c] = steps as [Step, Step, Step]
  if (steps.length === 1) {
    return (held, value) => {
      held[0] = a(held[0], value)
      return held
    }
  }
  if (steps.length === 2) {
    return (held, value) => {
      held[0] = a(held[0], value)
      held[1] = b(held[1], value)
      return held
    }
  }
  if (steps.length === 3) {
    return (held, value) => {
      held[0] = a(held[0], value)
      held[1] = b(held[1], value)
      held[2] = c(held[2], value)
      return held
    }
  }
  return (held, value) => {
    for (let i = 0; i < steps.length; i++) held[i] = (steps[i] as Step)(held[i], value)
    return held
  }
}
