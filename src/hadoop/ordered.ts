import { canonicalText } from '../core/canonical.ts'
import { MillraceError, shorten, show } from '../core/errors.ts'
import { type FusedStage, keyedOutlet, type Outlet } from '../core/fuse.ts'
import { type Key, keyText, parseKey } from '../core/key.ts'
import type { Cursor, LineBatch } from '../core/record.ts'
import type { StateStore } from '../core/state-store.ts'
import type { PlannedOperator } from '../plan/plan.ts'
import type { RunHost } from '../runtime/host.ts'
import type { RowOutlet } from '../runtime/table.ts'

/** Times are written so that their bytes sort as they do: milliseconds from the greatest past on. */
const PAST = 2 ** 52

/**
 * The end of a map side whose reduce side must see the records themselves: `key TAB time TAB canonical value`, and TAB the value as it was,
 * where that is another text. To sort the lines by their bytes sorts them by key, time, canonical bytes.
 */
export class OrderedLines {
  readonly #cut: PlannedOperator
  readonly #write: (line: string) => void

  constructor(cut: PlannedOperator, write: (line: string) => void) {
    this.#cut = cut
    this.#write = write
  }

  intake(host: () => RunHost, cursor: Cursor): Outlet {
    const { timeOf } = this.#cut.operator.definition
    const takeKeyed = (key: Key, value: unknown): void => {
      try {
        const time = timeOf === undefined ? cursor.timestamp : timeOf(value, cursor)
        const text = JSON.stringify(value)
        if (text === undefined) throw new Error(`has no JSON text, so it can't cross to a reducer: ${show(value)}`)
        const canonical = canonicalText(value)
        this.#write(`${keyText(key)}\t${timeText(time)}\t${canonical}${canonical === text ? '' : `\t${text}`}\n`)
      } catch (error) {
        throw host().attribute(this.#cut.id, error, value, cursor)
      }
    }
    return keyedOutlet(takeKeyed)
  }

  intakeOfRows(host: () => RunHost, cursor: Cursor): RowOutlet {
    return { ...this.intake(host, cursor), begin: () => {}, end: () => {} }
  }

  flush(): void {}
}

/** Gives sorted lines of {@link OrderedLines} to a stage, key after key: one key's state is held at a time. */
export class SortedRecords {
  readonly #stage: FusedStage
  readonly #store: StateStore
  readonly #at: (key: string) => void
  #keyText: string | undefined
  #key: Key = ''
  #line = 0

  constructor(stage: FusedStage, store: StateStore, at: (key: string) => void) {
    this.#stage = stage
    this.#store = store
    this.#at = at
  }

  get lines(): number {
    return this.#line
  }

  take(block: LineBatch): void {
    block.eachLine(
      (line) => {
        this.#line++
        // Hadoop ends a line whose fields are all key with a tab.
        const [key, time, canonical, text] = line.split('\t')
        if (key === undefined || time === undefined || canonical === undefined) throw this.#misread(line)
        try {
          if (key !== this.#keyText) {
            this.#store.clear()
            this.#keyText = key
            this.#key = parseKey(key)
            this.#at(key)
          }
        } catch (error) {
          throw this.#misread(line, error)
        }
        this.#stage.takeValue({ key: this.#key, value: this.#parse(text || canonical, line) })
      },
      (error) => {
        throw error
      },
    )
  }

  end(): void {
    this.#stage.flush()
  }

  #parse(text: string, line: string): unknown {
    try {
      return JSON.parse(text)
    } catch (error) {
      throw this.#misread(line, error)
    }
  }

  #misread(line: string, cause?: unknown): MillraceError {
    return new MillraceError(
      'MLR_ERR_WIRE',
      `line ${this.#line} of the input is not key TAB time TAB value: ${shorten(line)} — it must be what map wrote`,
      { cause },
    )
  }
}

function timeText(time: number | undefined): string {
  if (time === undefined) return '-'
  if (!Number.isFinite(time) || Math.abs(time) > PAST)
    throw new Error(`the time of a record is milliseconds since the epoch; got ${show(time)}`)
  return String(Math.floor(time) + PAST).padStart(16, '0')
}
