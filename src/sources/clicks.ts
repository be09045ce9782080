import { setTimeout as sleep } from 'node:timers/promises'
import { seeded } from '../core/random.ts'
import type { Batch } from '../core/record.ts'
import { LineBlock } from '../formats/lines.ts'
import type { SourceOptions, SourceReader } from './source.ts'

export interface ClicksOptions {
  /** How many clicks; without it they never end. */
  readonly count?: number
  /** Clicks a second; without it as fast as they are taken. */
  readonly rate?: number
  /** The same seed gives the same clicks. Default 1. */
  readonly seed?: number
  /** How many different users. Default 10,000. */
  readonly users?: number
  /** This share of the lines is broken, from 0 to 1. Default 0. */
  readonly malformed?: number
}

const ACTIONS = ['view', 'view', 'view', 'view', 'like', 'like', 'cart', 'paid'] as const
const START = Date.UTC(2026, 0, 1)
const BLOCK = 1024

/** Made-up clicks as lines of JSON, 84 bytes each with the line end. */
export function openClicks(clicks: ClicksOptions, { name }: SourceOptions): SourceReader {
  const { count = Infinity, rate } = clicks
  const stop = new AbortController()
  async function* blocks(): AsyncGenerator<Batch> {
    const next = clickLines(clicks)
    // With a rate, a tenth of a second's worth at a time.
    const size = rate === undefined ? BLOCK : Math.max(1, Math.min(BLOCK, Math.ceil(rate / 10)))
    const started = Date.now()
    let offset = 0
    for (let made = 0; made < count && !stop.signal.aborted; ) {
      const now = Math.min(size, count - made)
      if (rate !== undefined) {
        const early = started + (made / rate) * 1000 - Date.now()
        if (early > 0) await sleep(early, undefined, { signal: stop.signal }).catch(() => {})
        if (stop.signal.aborted) return
      }
      let text = ''
      for (let i = 0; i < now; i++) text += next()
      const bytes = Buffer.from(text, 'latin1')
      yield new LineBlock({
        source: name,
        partition: 'clicks',
        bytes,
        offset,
        firstLine: made + 1,
        maxLineBytes: bytes.length,
      })
      offset += bytes.length
      made += now
    }
  }
  return {
    [Symbol.asyncIterator]: blocks,
    stop: () => stop.abort(),
  }
}

/** Makes one click after the other: a line of JSON with its line end. Times go up by 37 ms, so they cross seconds, days and months. */
export function clickLines(options: ClicksOptions = {}): () => string {
  const { seed = 1, users = 10_000, malformed = 0 } = options
  const random = seeded(seed)
  let n = 0
  return () => {
    // Some users click much more than others.
    const user = Math.floor(random() * random() * users)
    const action = ACTIONS[Math.floor(random() * ACTIONS.length)]
    const time = new Date(START + n++ * 37).toISOString()
    const line = `{"user_id":"visitor-${String(user).padStart(6, '0')}","action":"${action}","timestamp":"${time}"}\n`
    return malformed > 0 && random() < malformed ? `${line.slice(0, -8)}\n` : line
  }
}
