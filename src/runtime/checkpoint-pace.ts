import { faultsWanted } from '../core/fault-point.ts'

/** Of the time, checkpoints hold the stream for one part, and leave it at least so many: under load they come less often. */
const STREAM_SHARE = 9
/** What does not hold the stream (writing parts, the sinks' own threads and servers) takes of the machine all the same; but nobody waits for it long. */
const REST_SHARE = 6
const LONGEST_REST_MS = 1000
/**
 * A stream that has no pause is behind, and its rows are old whenever they come: then throughput counts. On two cores that it shares with MongoDB
 * a rest of one second left it three quarters of what it has alone.
 */
const BUSY = 0.85
const LONGEST_REST_WHEN_BUSY_MS = 5000
/** A stream that has brought nothing for so long does not mind. */
const IDLE_MS = 200
/** What fewer changes cost is the cost of a checkpoint itself. */
const FEW_CHANGES = 1000
/** A larger checkpoint costs more for each change: sorting, and more garbage that lives. Measured between ten thousand and a million. */
const GROWTH = 1.16
const MOST_GROWTH = 8

/**
 * When the next checkpoint is due: after the interval, but later where it would hold the stream for too large a share of the time. What it
 * will take is reckoned from what changed, for after one with a million rows the next may have ten.
 */
export class CheckpointPace {
  readonly #intervalMs: number
  readonly #share = faultsWanted() ? 0 : STREAM_SHARE
  #begun = -Infinity
  #ended = -Infinity
  #restMs = 0
  #fixedMs = 0
  #lastMs = 0
  #lastChanges = FEW_CHANGES

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** `idleMs`: for how long the stream has brought nothing. `busy`: which part of the time since the last one the thread had work. */
  dueAt(changes: number, idleMs: number, busy: number): number {
    const earliest = this.#begun + this.#intervalMs
    if (idleMs > IDLE_MS) return earliest
    // Changes that come while it waits must not make it wait longer and longer.
    const growth = Math.min(MOST_GROWTH, (changes / this.#lastChanges) ** GROWTH)
    const holds = this.#fixedMs + this.#lastMs * growth
    const rest = Math.min(busy > BUSY ? LONGEST_REST_WHEN_BUSY_MS : LONGEST_REST_MS, this.#restMs)
    return Math.max(earliest, this.#ended + rest, this.#ended + this.#share * holds)
  }

  /** A checkpoint was made: how many changes it had, and for how long it held the stream. */
  took(begun: number, ended: number, changes: number, heldMs: number): void {
    this.#begun = begun
    this.#ended = ended
    this.#restMs = this.#share === 0 ? 0 : REST_SHARE * (ended - begun)
    if (changes < FEW_CHANGES) {
      this.#fixedMs = heldMs
      return
    }
    this.#lastMs = Math.max(0, heldMs - this.#fixedMs)
    this.#lastChanges = changes
  }
}
