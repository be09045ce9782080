/** Named counts of one run: read, skipped by operator, whatever `context.count` was told. */
export class Counters {
  readonly #counts = new Map<string, number>()

  add(name: string, by = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + by)
  }

  get(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  /** Name and count, in the order of their first use. */
  entries(): readonly (readonly [string, number])[] {
    return [...this.#counts]
  }
}
