import { seeded } from '../core/random.ts'

/** Seeded choices for tests: the same seed gives the same test. Print the seed where a test fails. */
export class Random {
  readonly seed: number
  readonly #next: () => number

  constructor(seed: number) {
    this.seed = seed
    this.#next = seeded(seed)
  }

  /** A whole number from 0 up to and without `below`. */
  below(below: number): number {
    return Math.floor(this.#next() * below)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }

  chance(probability: number): boolean {
    return this.#next() < probability
  }

  shuffle<T>(values: readonly T[]): T[] {
    const shuffled = [...values]
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const held = shuffled[i] as T
      shuffled[i] = shuffled[j] as T
      shuffled[j] = held
    }
    return shuffled
  }

  /** The values in `parts` runs one after the other, some perhaps empty: as an input is split. */
  split<T>(values: readonly T[], parts: number): T[][] {
    const cuts = Array.from({ length: parts - 1 }, () => this.below(values.length + 1)).sort((a, b) => a - b)
    return [0, ...cuts].map((start, i) => values.slice(start, cuts[i] ?? values.length))
  }
}
