import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, EachBatchPayload } from 'kafkajs'
import { newOwner, ownerText } from '../checkpoints/owner.ts'
import { KafkaConnection, kafkaError } from '../connections/kafka.ts'
import { HEARTBEAT_MS, soleConsumer } from '../connections/kafka-group.ts'
import { givenUp, Patience } from '../connections/patience.ts'
import { MillraceError } from '../core/errors.ts'
import type { Batch } from '../core/record.ts'
import { KafkaBatch, type KafkaPosition } from './kafka-batch.ts'
import {
  fencedByGroup,
  isDeadHere,
  type KafkaSourceOptions,
  offsetsOf,
  type Partition,
  startsOf,
} from './kafka-positions.ts'
import type { Claim, ClaimOptions, SourceOptions, SourceReader } from './source.ts'

/** How often a start tries to join. */
const MOST_TRIES = 20

/** Joins the group; resolves when every partition is ours. */
export async function claimKafka(options: KafkaSourceOptions, claiming: ClaimOptions): Promise<Claim | undefined> {
  const reader = new KafkaReader(
    options,
    claiming.pipeline,
    options.group ?? `millrace.${claiming.pipeline}`,
    claiming.say,
  )
  try {
    await reader.join()
    if (await reader.owned(claiming.signal)) return reader
    await reader.release()
    return undefined
  } catch (error) {
    await reader.release()
    throw error
  }
}

export async function openKafkaSource(options: KafkaSourceOptions, opening: SourceOptions): Promise<SourceReader> {
  const { claim, pipeline = 'pipeline', say = () => {} } = opening
  if (claim instanceof KafkaReader) {
    await claim.open(opening)
    return claim
  }
  // A run without checkpoints stands by for nobody.
  const reader = new KafkaReader(options, pipeline, `millrace.${pipeline}.${randomUUID().slice(0, 8)}`, say, true)
  try {
    await reader.join()
    await reader.owned()
    await reader.open(opening)
  } catch (error) {
    await reader.release()
    throw error
  }
  return reader
}

/** A member of a consumer group that reads all partitions of some topics or none. */
class KafkaReader implements SourceReader, Claim {
  readonly #options: KafkaSourceOptions
  readonly #connection: KafkaConnection
  readonly #consumer: Consumer
  readonly #group: string
  readonly #say: (line: string) => void
  readonly #alone: boolean
  readonly #topicIds = new Map<string, string>()
  readonly #partitions = new Map<string, Partition>()
  #name = ''
  #untilEnd = false
  #ownedSince: number | undefined
  #opened = false
  #stopped = false
  #released = false
  #silent = false
  #givingUp: NodeJS.Timeout | undefined
  #failure: { readonly error: unknown } | undefined
  /** At most one batch waits to be used; whoever brought it waits for that. */
  #waiting: { readonly batch: KafkaBatch; readonly used: (wasUsed: boolean) => void } | undefined
  #wake: (() => void) | undefined
  #joined: (() => void) | undefined
  #committing = false
  #joins = 0

  constructor(
    options: KafkaSourceOptions,
    pipeline: string,
    group: string,
    say: (line: string) => void,
    alone = false,
  ) {
    this.#options = options
    this.#group = group
    this.#say = say
    this.#alone = alone
    this.#connection = new KafkaConnection({ ...options, clientId: `millrace ${pipeline} ${ownerText(newOwner())}` })
    this.#consumer = soleConsumer(this.#connection.client, group, {
      ownedSince: () => this.#ownedSince,
      waits: () => !this.#stopped,
    })
  }

  async join(): Promise<void> {
    for (const topic of this.#options.topics) {
      const facts = await this.#connection.topic(topic)
      if (facts === undefined) {
        throw new MillraceError(
          'MLR_ERR_INPUT_MISSING',
          `Kafka at ${this.#connection.label} has no topic '${topic}' — create it, or name another`,
        )
      }
      this.#topicIds.set(topic, facts.id)
    }
    if (!this.#alone) await this.#connection.removeDeadMembers(this.#group, isDeadHere)
    const { events } = this.#consumer
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => this.#onJoin(payload.memberAssignment))
    this.#consumer.on(events.CRASH, ({ payload }) => this.#onCrash(payload.error, payload.restart))
    this.#consumer.on(events.FETCH, () => {
      if (this.#silent) this.#say(`Kafka at ${this.#connection.label} answers again`)
      this.#silent = false
      clearTimeout(this.#givingUp)
    })
    this.#consumer.on(events.END_BATCH_PROCESS, ({ payload }) => {
      // Only markers of transactions: nothing to read, but the position moved.
      if (payload.batchSize === 0) this.#movedTo(payload.topic, payload.partition, Number(payload.lastOffset) + 1)
    })
    for (let tries = 0; ; tries++) {
      try {
        await this.#consumer.connect()
        await this.#consumer.subscribe({ topics: [...this.#options.topics], fromBeginning: true })
        break
      } catch (error) {
        // The topics were there a moment ago: another broker will know.
        if (tries === MOST_TRIES) throw kafkaError(error, this.#connection.label)
        await sleep(500)
      }
    }
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#take(payload),
    })
  }

  /** Waits until the partitions are ours; false if that was given up. */
  async owned(signal?: AbortSignal): Promise<boolean> {
    let told = false
    while (this.#ownedSince === undefined) {
      if (signal?.aborted === true) return false
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#joins > 0 && !told) {
        told = true
        this.#say(`standby: another member of the group ${this.#group} reads ${this.#options.topics.join(', ')}`)
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#joined = resolve
      await Promise.race([promise, sleep(200)])
    }
    return true
  }

  async open({ name, positions = {}, untilEnd = false }: SourceOptions): Promise<void> {
    this.#name = name
    this.#untilEnd = untilEnd
    for (const topic of this.#options.topics) {
      const facts = { name: topic, id: this.#topicIds.get(topic) as string }
      for (const start of await startsOf(facts, positions, this.#options, this.#connection, this.#say))
        this.#partitions.set(`${topic}/${start.partition}`, start)
    }
    this.#opened = true
    this.#seekAll()
    this.#consumer.resume(this.#options.topics.map((topic) => ({ topic })))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error
        if (this.#stopped || (this.#untilEnd && this.#isAtEnd())) return
        const waiting = this.#waiting
        if (waiting === undefined) {
          const { promise, resolve } = Promise.withResolvers<void>()
          this.#wake = resolve
          await promise
          continue
        }
        const { position, partition } = waiting.batch.resume as { partition: string; position: KafkaPosition }
        const known = this.#partitions.get(partition) as Partition
        known.next = position.offset
        yield waiting.batch
        if (this.#waiting === waiting) this.#waiting = undefined
        waiting.used(true)
      }
    } finally {
      this.#stopped = true
      this.#waiting?.used(false)
      this.#waiting = undefined
      if (this.#alone) await this.release()
    }
  }

  stop(): void {
    this.#stopped = true
    this.#waiting?.used(false)
    this.#wake?.()
  }

  begins(): Readonly<Record<string, KafkaPosition>> {
    return Object.fromEntries(
      [...this.#partitions].map(([name, { topic, next }]) => [
        name,
        { offset: next, topic: this.#topicIds.get(topic) as string },
      ]),
    )
  }

  committed(positions: Readonly<Record<string, unknown>>): void {
    if (this.#committing || this.#released) return
    this.#committing = true
    // Only for tools that show the lag: the positions that count are in the checkpoint.
    this.#consumer
      .commitOffsets(offsetsOf(positions))
      .catch(() => {})
      .finally(() => {
        this.#committing = false
      })
  }

  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    this.#stopped = true
    clearTimeout(this.#givingUp)
    this.#waiting?.used(false)
    await this.#consumer.disconnect().catch(() => {})
    await this.#connection.close()
  }

  #onJoin(assignment: Readonly<Record<string, readonly number[]>>): void {
    this.#joins++
    // What had been fetched before the rebalance is fetched again, from where we are.
    this.#waiting?.used(false)
    this.#waiting = undefined
    const owns = Object.values(assignment).some((partitions) => partitions.length > 0)
    if (!owns) {
      if (this.#ownedSince !== undefined && !this.#stopped) this.#fail(fencedByGroup(this.#group))
      this.#ownedSince = undefined
      return
    }
    this.#ownedSince ??= Date.now()
    if (this.#opened) {
      for (const [topic, partitions] of Object.entries(assignment)) {
        for (const partition of partitions) {
          const name = `${topic}/${partition}`
          if (!this.#partitions.has(name)) {
            this.#say(`${name} is new`)
            this.#partitions.set(name, { topic, partition, next: 0, until: Number.POSITIVE_INFINITY })
          }
        }
      }
      this.#seekAll()
    } else this.#consumer.pause(this.#options.topics.map((topic) => ({ topic })))
    this.#joined?.()
  }

  #seekAll(): void {
    for (const { topic, partition, next } of this.#partitions.values())
      this.#consumer.seek({ topic, partition, offset: String(next) })
  }

  async #take({ batch, heartbeat, resolveOffset, isStale, isRunning }: EachBatchPayload): Promise<void> {
    if (!this.#opened || this.#stopped || !isRunning() || isStale()) return
    const name = `${batch.topic}/${batch.partition}`
    const known = this.#partitions.get(name)
    const topic = this.#topicIds.get(batch.topic)
    if (known === undefined || topic === undefined) return
    const { messages } = batch
    const first = Number(messages[0]?.offset)
    if (first > known.next && !(await this.#isOnlyAGap(known, first))) return
    const next = Number(batch.lastOffset()) + 1
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#waiting = {
      batch: new KafkaBatch({ source: this.#name, partition: name, messages, next: { offset: next, topic } }),
      used: resolve,
    }
    this.#wake?.()
    // While the stream works on it nobody else tells the broker that we live.
    const beating = setInterval(() => {
      heartbeat().catch(() => resolve(false))
    }, HEARTBEAT_MS)
    try {
      if (await promise) resolveOffset(String(next - 1))
    } finally {
      clearInterval(beating)
    }
  }

  /** Offsets that are left out belong to transactions and compaction; unless the broker has dropped what was not read yet. */
  async #isOnlyAGap(known: Partition, first: number): Promise<boolean> {
    const low = (await this.#connection.offsets(known.topic)).get(known.partition)?.low ?? 0
    if (low <= known.next) return true
    const gone = `${known.topic}/${known.partition} was read up to ${known.next}, and its earliest record is now ${low}: retention has overtaken the stream`
    if (this.#options.onGone === 'earliest') {
      this.#say(`${gone}; going on at ${first}`)
      return true
    }
    this.#fail(new MillraceError('MLR_ERR_INPUT_GONE', gone))
    return false
  }

  #movedTo(topic: string, partition: number, next: number): void {
    const known = this.#partitions.get(`${topic}/${partition}`)
    if (known === undefined || !this.#opened || next <= known.next) return
    known.next = next
    this.#wake?.()
  }

  #isAtEnd(): boolean {
    return [...this.#partitions.values()].every(
      ({ next, until }) => next >= until || until === Number.POSITIVE_INFINITY,
    )
  }

  #onCrash(error: Error, restarts: boolean): void {
    if (this.#stopped) return
    if (!restarts) {
      this.#fail(kafkaError(error, this.#connection.label))
      return
    }
    if (this.#silent) return
    this.#silent = true
    this.#say(`Kafka at ${this.#connection.label} does not answer; waiting for it`)
    const { limitMs } = Patience
    if (limitMs === Number.POSITIVE_INFINITY) return
    this.#givingUp = setTimeout(() => this.#fail(givenUp(kafkaError(error, this.#connection.label))), limitMs)
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#waiting?.used(false)
    this.#wake?.()
    this.#joined?.()
  }
}
