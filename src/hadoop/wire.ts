import { type AnyAggregate, decodeAccumulator, encodeAccumulator } from '../core/aggregate.ts'
import { MillraceError, shorten } from '../core/errors.ts'
import { type Key, keyText } from '../core/key.ts'

/**
 * What passes between mapper, combiner and reducer: one line `key TAB accumulator`, both as JSON text, so there is no TAB, CR or LF
 * inside of either. Sorting the lines by bytes (`LC_ALL=C sort`) sorts them by key: TAB is less than any byte of a key.
 */
export function wireLine(key: Key, aggregate: AnyAggregate, accumulator: unknown): string {
  return `${keyText(key)}\t${encodeAccumulator(aggregate, accumulator)}\n`
}

export interface WirePair {
  readonly keyText: string
  readonly accumulatorText: string
}

export function parseWireLine(line: string, lineNumber: number): WirePair {
  const tab = line.indexOf('\t')
  if (tab <= 0) {
    throw new MillraceError(
      'MLR_ERR_WIRE',
      `line ${lineNumber} of the input is not key TAB accumulator: ${shorten(line)} — it must be what map or combine wrote`,
    )
  }
  return { keyText: line.slice(0, tab), accumulatorText: line.slice(tab + 1) }
}

export function decodeWire(aggregate: AnyAggregate, pair: WirePair, lineNumber: number): unknown {
  try {
    return decodeAccumulator(aggregate, pair.accumulatorText)
  } catch (error) {
    throw new MillraceError(
      'MLR_ERR_WIRE',
      `line ${lineNumber} of the input has no accumulator of ${aggregate.name}: ${shorten(pair.accumulatorText)}`,
      { cause: error },
    )
  }
}
