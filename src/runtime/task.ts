import { setTimeout as sleep } from 'node:timers/promises'
import type { Head, PartRef, PendingPart, Version } from '../checkpoints/checkpoint.ts'
import { compareVersions } from '../checkpoints/checkpoint.ts'
import { type Merged, Merger } from '../checkpoints/merger.ts'
import { describeOwner, isGone } from '../checkpoints/owner.ts'
import { seal, unseal } from '../checkpoints/sealed.ts'
import { type StateLine, stateLine, stateLines } from '../checkpoints/state-part.ts'
import { isMillraceError } from '../core/errors.ts'
import { faultPoint } from '../core/fault-point.ts'
import type { SavedRow } from '../core/keyed-state.ts'
import { Pieces } from '../core/pieces.ts'
import { fingerprintOf } from '../plan/fingerprint.ts'
import type { PlannedFlow } from '../plan/plan.ts'
import type { Execution } from './execution.ts'
import { nextHead, type Recorded, recordedBy, refuseMisfits, type TaskOptions } from './task-start.ts'

/** An owner whose last checkpoint has stood still for so long is taken to be dead, where it can't be asked. */
const LEASE_MS = 10_000
const LOOK_MS = 500
/** One that loads a large state shows that it lives so often. */
const LIFE_MS = LEASE_MS / 3

/** By flow: what its sink is owed. */
type Prepared = Map<string, readonly string[]>

export type Positions = Record<string, Record<string, unknown>>

/**
 * A task with checkpoints: what is recovered as one. The protocol, in order:
 *
 * start      everything that may refuse is checked before the log is touched; then the next number, with the same state, positions and
 *            pending under the same publish number, and a new owner; then the state is loaded and what is pending is published.
 * checkpoint 1 the cut, between two batches   2 every sink prepares   3 commit   4 every sink publishes; before that no next number.
 * stop       a last checkpoint whose owner is released.
 *
 * Whoever finds a greater number than its own is fenced: it publishes nothing more.
 */
export class Task {
  readonly #options: TaskOptions
  readonly #merger: Merger
  #head: Head
  #parts = 0
  #newSinks = false
  #countedRead = 0
  #countedSkipped = 0
  #merged: Merged | undefined
  #merging: Promise<Merged | undefined> | undefined
  #mergeFailure: { readonly error: unknown } | undefined
  #shownAt = performance.now()

  private constructor(options: TaskOptions, head: Head) {
    this.#options = options
    this.#head = head
    this.#merger = new Merger(options.log)
  }

  /** By flow: how many rows and events were published to it. */
  readonly published = new Map<string, number>()

  /** For how long the last checkpoint held the stream: while the thread did nothing else. */
  heldMs = 0

  /** How many checkpoints were committed by this owner. */
  written = 0

  get head(): Head {
    return this.#head
  }

  /** Waits until the task can be owned, and owns it. Then `load`. */
  static async start(options: TaskOptions): Promise<Task | undefined> {
    const { log, say, signal } = options
    let seen: { readonly version: Version; readonly since: number; told: boolean } | undefined
    for (;;) {
      // The sinks first: what they have recorded was committed before, so a log that is read later must have it.
      const recorded = await recordedBy(options.sinks)
      const last = await log.last()
      refuseMisfits(options, recorded, last)
      if (last !== undefined && options.takeOver !== true && !isGone(last.owner)) {
        if (seen === undefined || compareVersions(seen.version, last.version) !== 0)
          seen = { version: last.version, since: performance.now(), told: seen?.told ?? false }
        if (performance.now() - seen.since < LEASE_MS) {
          if (!seen.told)
            say(
              `standby: ${describeOwner(last.owner)} owns ${options.plan.name} (${log.label}); waiting until it stops (--take-over does not wait)`,
            )
          seen.told = true
          await sleep(LOOK_MS, undefined, { signal: signal as AbortSignal }).catch(() => {})
          if (signal?.aborted === true) return undefined
          continue
        }
      }
      const task = new Task(options, await nextHead(options, recorded, last))
      if (last !== undefined && options.fresh !== true) task.#tellNewSinks(recorded)
      try {
        await log.commit(task.#head)
      } catch (error) {
        // Two that start at once: one of them owns it, the other waits.
        if (isMillraceError(error, 'MLR_ERR_FENCED') && options.takeOver !== true) continue
        throw error
      }
      faultPoint('after takeover')
      return task
    }
  }

  async #beginSinks(): Promise<void> {
    const { log, sinks } = this.#options
    const { version, positions, sinks: manifests = {} } = this.#head
    const stillOwner = (): Promise<void> => log.stillLast(this.#head)
    for (const [flow, sink] of sinks)
      await sink.begin?.({ version, positions, manifest: manifests[flow.name], stillOwner })
  }

  /** Sinks that have never been given anything, though the log has gone on: they must get every row. */
  #tellNewSinks(recorded: ReadonlyMap<PlannedFlow, Recorded>): void {
    for (const [flow, sink] of this.#options.sinks) {
      if (sink.wantsWholeTable === true) this.#newSinks = true
      if (!sink.keepsRecord || recorded.has(flow)) continue
      this.#newSinks = true
      const gets = flow.over === 'table' ? 'it starts with the whole table' : 'it gets the events from here on'
      this.#options.say(`${flow.sink.sink.label} is new to these checkpoints: ${gets}`)
    }
  }

  /**
   * Loads the state of the checkpoint that was taken over; only then, for it may be damaged, publishes what the former owner had committed
   * and perhaps not published. Returns how many rows of state there are.
   */
  async load(execution: Execution): Promise<number> {
    const rows = await this.#restore(execution)
    await this.#options.log.removeStrays(this.#head)
    await this.#beginSinks()
    faultPoint('after sinks began')
    await this.#publish()
    return rows
  }

  /** Each row once. */
  async #restore(execution: Execution): Promise<number> {
    const { log } = this.#options
    // From the newest part to the oldest: the first line of a key is the one that counts.
    const seen = new Set<string>()
    let count = 0
    const fresh = function* (lines: Iterable<StateLine>): Generator<readonly [string, SavedRow]> {
      for (const { id, table, row } of lines) {
        if (seen.has(id)) continue
        seen.add(id)
        count++
        yield [table, row]
      }
    }
    for (const part of this.#head.state.toReversed()) {
      await this.#showLife()
      execution.restore(fresh(stateLines(unseal('part', part.name, await log.readPart(this.#head, part)))))
    }
    execution.restored()
    if (this.#newSinks) for (const table of execution.tables) table.touchAll()
    return count
  }

  /** A head that says nothing new: as if the task had been taken over once more, by the same owner. */
  async #showLife(): Promise<void> {
    if (performance.now() - this.#shownAt < LIFE_MS) return
    const { version } = this.#head
    this.#head = { ...this.#head, version: { ...version, number: version.number + 1 }, at: Date.now() }
    await this.#options.log.commit(this.#head)
    this.#shownAt = performance.now()
  }

  /**
   * One checkpoint. `cut` is called at once and synchronously: it moves the execution to the cut and says how far the sources were read.
   * Resolves to false where nothing had changed and nothing was written.
   */
  async checkpoint(
    execution: Execution,
    cut: () => Positions,
    options: { readonly force?: boolean; readonly release?: boolean } = {},
  ): Promise<boolean> {
    if (this.#mergeFailure !== undefined) throw this.#mergeFailure.error
    const began = performance.now()
    // 1 and 2, without a pause: what comes in from here on belongs to the next one.
    const positions = cut()
    const lines = new Pieces()
    execution.takeTicked((table, row) => lines.add(stateLine(table, row)))
    const state = lines.end()
    const prepared: Prepared = new Map()
    const manifests: Record<string, unknown> = {}
    for (const [flow, sink] of this.#options.sinks) {
      const pieces = sink.prepare(execution.portOf(flow)?.take() ?? [], { positions, last: options.release === true })
      if (pieces.length > 0) prepared.set(flow.name, pieces)
      const manifest = sink.manifest?.()
      if (manifest !== undefined) manifests[flow.name] = manifest
    }
    this.heldMs = performance.now() - began
    const owed = prepared.size > 0
    const moved = JSON.stringify(positions) !== JSON.stringify(this.#head.positions)
    if (state.length === 0 && !owed && !moved && options.force !== true && options.release !== true) return false
    faultPoint('after prepare')
    // 3
    const before = this.#head
    const version = { generation: before.version.generation, number: before.version.number + 1 }
    const merged = this.#takeMerged()
    const kept =
      merged === undefined
        ? before.state
        : before.state.flatMap((part) =>
            part === merged.instead[0] ? merged.merged : merged.instead.includes(part) ? [] : [part],
          )
    const [added, ...owing] = await Promise.all([
      this.#createParts('state', state),
      ...[...prepared].map(async ([flow, pieces]): Promise<readonly PendingPart[]> => {
        const parts = await this.#createParts('pending', pieces)
        return parts.map((part) => ({ ...part, flow }))
      }),
    ])
    const pending = owing.flat()
    faultPoint('after parts')
    const read = execution.host.counters.get('read')
    const skipped = execution.host.skipped.total
    this.#head = {
      ...before,
      awaits: undefined,
      version,
      at: Date.now(),
      owner: { ...before.owner, released: options.release === true && !owed },
      fingerprint: fingerprintOf(this.#options.plan),
      positions,
      state: [...kept, ...added],
      pending: { publish: version, parts: pending },
      sinks: manifests,
      counts: {
        read: (before.counts.read ?? 0) + read - this.#countedRead,
        skipped: (before.counts.skipped ?? 0) + skipped - this.#countedSkipped,
      },
    }
    this.#countedRead = read
    this.#countedSkipped = skipped
    await this.#options.log.commit(this.#head)
    this.written++
    for (const sink of this.#options.sinks.values()) await sink.committed?.()
    faultPoint('after commit')
    // 4
    await this.#publish(prepared)
    faultPoint('after publish')
    await this.#options.log.clean(this.#head, [...before.state, ...before.pending.parts])
    this.#startMerge()
    // A stop that still owed something says that nobody owns the task only now that it is published.
    if (options.release === true && owed) return this.checkpoint(execution, () => positions, { release: true })
    return true
  }

  async close(): Promise<void> {
    await this.#merging?.catch(() => {})
    await this.#merger.close()
  }

  /** What is pending goes to the sinks: as it was prepared here, or after a takeover as the checkpoint has it. */
  async #publish(prepared?: Prepared): Promise<void> {
    const { pending } = this.#head
    const owed = prepared ?? (await this.#readPending())
    for (const [flow, sink] of this.#options.sinks) {
      const pieces = owed.get(flow.name)
      if (pieces === undefined) continue
      const written = await sink.publish(pending.publish, pieces)
      this.published.set(flow.name, (this.published.get(flow.name) ?? 0) + written)
      faultPoint('between sinks')
    }
  }

  async #readPending(): Promise<Prepared> {
    const { log } = this.#options
    const owed = new Map<string, string[]>()
    for (const part of this.#head.pending.parts) {
      const pieces = owed.get(part.flow) ?? []
      owed.set(part.flow, pieces)
      pieces.push(unseal('part', part.name, await log.readPart(this.#head, part)))
    }
    return owed
  }

  async #createParts(kind: string, pieces: readonly string[]): Promise<readonly PartRef[]> {
    const group = pieces.length > 1 ? { group: this.#partName(`${kind}-0`) } : {}
    // One is written while the next one is sealed.
    return Promise.all(
      pieces.map(async (piece, i) => {
        const name = i === 0 && 'group' in group ? group.group : this.#partName(i === 0 ? kind : `${kind}-${i}`)
        const began = performance.now()
        const blob = seal('part', piece)
        this.heldMs += performance.now() - began
        return { ...(await this.#options.log.createPart(name as string, blob)), ...group }
      }),
    )
  }

  #partName(kind: string): string {
    return `part-${this.#head.owner.name}-${String(++this.#parts).padStart(8, '0')}-${kind}`
  }

  #startMerge(): void {
    if (this.#merging !== undefined) return
    const parts = this.#merger.choose(this.#head.state)
    if (parts.length < 2) return
    this.#merging = this.#merger.merge(this.#head, parts, this.#partName('merged')).catch((error: unknown) => {
      this.#mergeFailure = { error }
      return undefined
    })
    this.#merging.then((merged) => {
      this.#merged = merged
    })
  }

  /** The merge that has ended, if one has: the next head names its part, and only then the old ones go. */
  #takeMerged(): Merged | undefined {
    const merged = this.#merged
    if (merged === undefined) return undefined
    this.#merged = undefined
    this.#merging = undefined
    return merged
  }
}
