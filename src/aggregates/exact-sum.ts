import { MillraceError, show } from '../core/errors.ts'

/**
 * A sum without rounding: numbers that do not overlap, smallest first, whose mathematical sum is the sum of all that was added
 * (J. Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997; Python's `math.fsum` does the same).
 */
export type Partials = readonly number[]

/** Larger magnitudes are refused one by one: then no order of additions can overflow half-way (that would take 10^8 such values). */
const LARGEST = 1e300

/** Adds a number. Changes and returns `partials`. */
export function addExact(partials: number[], value: number): number[] {
  // Counts and prices in cents: one partial, and integers below 2^53 are exact.
  if (partials.length === 1) {
    const sum = (partials[0] as number) + value
    if (Number.isSafeInteger(sum) && Number.isSafeInteger(value) && Number.isSafeInteger(partials[0])) {
      partials[0] = sum + 0
      return partials
    }
  }
  let x = value
  let kept = 0
  for (const partial of partials) {
    let y = partial
    if (Math.abs(x) < Math.abs(y)) [x, y] = [y, x]
    const high = x + y
    const low = y - (high - x)
    if (low !== 0) partials[kept++] = low
    x = high
  }
  partials.length = kept
  if (x !== 0) partials.push(x)
  return partials
}

/** The sum, rounded once, half to even. */
export function roundExact(partials: Partials): number {
  let n = partials.length
  if (n === 0) return 0
  let high = partials[--n] as number
  let low = 0
  while (n > 0) {
    const x = high
    const y = partials[--n] as number
    high = x + y
    low = y - (high - x)
    if (low !== 0) break
  }
  // A tie that the rest decides: away from even if the rest has the sign of the low half.
  if (n > 0 && low !== 0) {
    const next = partials[n - 1] as number
    if ((low < 0 && next < 0) || (low > 0 && next > 0)) {
      const doubled = low * 2
      const candidate = high + doubled
      if (doubled === candidate - high) return candidate
    }
  }
  return high + 0
}

export function checkNumber(value: unknown, what: string): number {
  if (typeof value === 'number' && Math.abs(value) <= LARGEST) return value
  throw new MillraceError(
    'MLR_ERR_OPERATOR',
    `${what} takes a finite number of at most ±${LARGEST}; got ${show(value)}`,
  )
}
