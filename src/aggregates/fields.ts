import type { Aggregate, AnyAggregate } from '../core/aggregate.ts'
import { MillraceError } from '../core/errors.ts'

/**
 * Several aggregates at once: an object with the result of each. Accumulator: their accumulators; on the wire an array in the order of
 * the fields.
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
export function fields<In, Outs extends Record<string, unknown>>(
  shape: {
    // biome-ignore lint/suspicious/noExplicitAny: the accumulators' types are the fields' own business.
    [Name in keyof Outs]: Aggregate<In, any, Outs[Name]>
  },
): Aggregate<In, unknown, Outs> {
  const names = Object.keys(shape)
  if (names.length === 0) throw new MillraceError('MLR_ERR_PLAN', 'fields takes an object with at least one aggregate')
  const parts = names.map((name) => (shape as Record<string, AnyAggregate>)[name] as AnyAggregate)
  const adds = parts.map((part) => part.add)
  const removes = parts.map((part) => part.remove)
  const combined: Aggregate<In, Held, Outs> = {
    name: `fields(${names.map((name, i) => `${name}: ${parts[i]?.name}`).join(', ')})`,
    init: () => hold(parts.map((part) => part.init())),
    add: stepAll(adds),
    merge: (left, right) => {
      const merging = spread(right, parts.length)
      return hold(spread(left, parts.length).map((held, i) => (parts[i] as AnyAggregate).merge(held, merging[i])))
    },
    finish: (held) => {
      const accumulators = spread(held, parts.length)
      return Object.fromEntries(
        names.map((name, i) => [name, (parts[i] as AnyAggregate).finish(accumulators[i])]),
      ) as Outs
    },
    encode: (held) =>
      spread(held, parts.length).map((accumulator, i) => encodePart(parts[i] as AnyAggregate, accumulator)),
    decode: (json) => hold(parts.map((part, i) => decodePart(part, (json as unknown[])[i]))),
  }
  if (removes.every((remove) => remove !== undefined)) combined.remove = stepAll(removes as Step[])
  return combined as Aggregate<In, unknown, Outs>
}

type Step = (held: unknown, value: unknown) => unknown

/**
 * The accumulators of the fields, side by side: the first three in an object of their own, for that is one line of the processor's
 * cache where an array is two, and this is read for every record.
 */
interface Held {
  a: unknown
  b: unknown
  c: unknown
  more: unknown[] | undefined
}

function hold([a, b, c, ...more]: readonly unknown[]): Held {
  return { a, b, c, more: more.length === 0 ? undefined : more }
}

function spread({ a, b, c, more = [] }: Held, length: number): unknown[] {
  return [a, b, c, ...more].slice(0, length)
}

function encodePart(part: AnyAggregate, accumulator: unknown): unknown {
  return part.encode === undefined ? accumulator : part.encode(accumulator)
}

function decodePart(part: AnyAggregate, json: unknown): unknown {
  return part.decode === undefined ? json : part.decode(json)
}

/**
 * Each step on its own accumulator. One to three fields are written out: a call through a variable that never changes is inlined, a
 * call through an array element is not.
 */
function stepAll(steps: readonly Step[]): (held: Held, value: unknown) => Held {
  const [a, b, c, ...rest] = steps as [Step, Step, Step, ...Step[]]
  if (steps.length === 1) {
    return (held, value) => {
      held.a = a(held.a, value)
      return held
    }
  }
  if (steps.length === 2) {
    return (held, value) => {
      held.a = a(held.a, value)
      held.b = b(held.b, value)
      return held
    }
  }
  return (held, value) => {
    held.a = a(held.a, value)
    held.b = b(held.b, value)
    held.c = c(held.c, value)
    const { more } = held
    if (more !== undefined) for (let i = 0; i < more.length; i++) more[i] = (rest[i] as Step)(more[i], value)
    return held
  }
}
