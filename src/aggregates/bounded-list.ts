/**
 * Puts a value into a sorted list that keeps at most `limit` values: `before` is negative where the first comes first. Most values of a long
 * stream do not make it, which one comparison with the last tells. Changes and returns the list.
 */
export function insertBounded<T>(list: T[], value: T, limit: number, before: (a: T, b: T) => number): T[] {
  if (list.length === limit && before(value, list[limit - 1] as T) >= 0) return list
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (before(value, list[middle] as T) < 0) high = middle
    else low = middle + 1
  }
  list.splice(low, 0, value)
  if (list.length > limit) list.pop()
  return list
}
