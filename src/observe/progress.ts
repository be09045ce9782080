import type { Progress } from '../runtime/exchanges/inline.ts'

const BAR = 24

/**
 * A line of progress on standard error, drawn over itself; nothing where that is no terminal. `clear` removes it before anything
 * else is written.
 */
export class ProgressLine {
  readonly #stream: NodeJS.WriteStream
  readonly #started = performance.now()
  #drawn = false

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream
  }

  get active(): boolean {
    return this.#stream.isTTY === true
  }

  draw(progress: Progress): void {
    if (!this.active) return
    const width = Math.max(20, (this.#stream.columns ?? 80) - 1)
    this.#stream.write(
      `\r\u001b[K${describeProgress(progress, (performance.now() - this.#started) / 1000).slice(0, width)}`,
    )
    this.#drawn = true
  }

  /** The last state, kept on the screen. */
  finish(progress: Progress): void {
    this.draw(progress)
    if (this.#drawn) this.#stream.write('\n')
    this.#drawn = false
  }

  clear(): void {
    if (this.#drawn) this.#stream.write('\r\u001b[K')
    this.#drawn = false
  }
}

export function describeProgress({ read, skipped, doneBytes, totalBytes }: Progress, seconds: number): string {
  const rate = seconds > 0 ? Math.round(read / seconds) : 0
  const facts = `${number(read)} records, ${number(rate)}/s${skipped === 0 ? '' : `, ${number(skipped)} skipped`}`
  if (doneBytes === undefined || totalBytes === undefined || totalBytes === 0) return facts
  const share = Math.min(1, doneBytes / totalBytes)
  const left = share > 0.02 && share < 1 ? `, ${duration((seconds / share) * (1 - share))} left` : ''
  return `${drawBar(share)}  ${facts}${left}`
}

/** From 0 to 1. */
export function drawBar(share: number): string {
  const full = Math.round(share * BAR)
  return `${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${String(Math.floor(share * 100)).padStart(3)} %`
}

export function number(n: number): string {
  return n.toLocaleString('en-US')
}

export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}
