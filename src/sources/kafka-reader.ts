import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, EachBatchPayload } from 'kafkajs'
import { newOwner, ownerText } from '../checkpoints/owner.ts'
import { KafkaConnection, kafkaError } from '../connections/kafka.ts'
import { HEARTBEAT_MS, soleConsumer } from '../connections/kafka-group.ts'
import { givenUp, Patience } from '../connections/patience.ts'
import { isMillraceError } from '../core/errors.ts'
import type { Batch } from '../core/record.ts'
import { KafkaBatch, type KafkaPosition } from './kafka-batch.ts'
import { KafkaPartitions } from './kafka-partitions.ts'
import { fencedByGroup, isDeadHere, type KafkaSourceOptions, offsetsOf, type Partition } from './kafka-positions.ts'
import type { Claim, SourceOptions, SourceReader } from './source.ts'

/** How often a start tries to join. */
const MOST_TRIES = 20

/** A member of a consumer group that reads all partitions of some topics or none. */
export class KafkaReader implements SourceReader, Claim {
  readonly #options: KafkaSourceOptions
  readonly #connection: KafkaConnection
  readonly #consumer: Consumer
  readonly #group: string
  readonly #say: (line: string) => void
  readonly #alone: boolean
  readonly #partitions: KafkaPartitions
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
  /** Between a crash and the next join there is no group that could be told anything. */
  #inGroup = false
  #assignment: Readonly<Record<string, readonly number[]>> = {}
  /** By node: a fetch has begun. One that failed does not end. */
  readonly #fetching = new Set<number>()
  /** kafkajs was told where to go on since it last had reason to think of another place; until then nothing that it brings counts. */
  #settled = false
  #settling = false
  #backAt = ''
  #unsettled = 0

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
    this.#partitions = new KafkaPartitions(options, this.#connection, say)
    this.#consumer = soleConsumer(this.#connection.client, group, {
      ownedSince: () => this.#ownedSince,
      waits: () => !this.#stopped,
    })
  }

  async join(): Promise<void> {
    await this.#partitions.find()
    if (!this.#alone) await this.#connection.removeDeadMembers(this.#group, isDeadHere)
    const { events } = this.#consumer
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => this.#onJoin(payload.memberAssignment))
    this.#consumer.on(events.CRASH, ({ payload }) => this.#onCrash(payload.error, payload.restart))
    this.#consumer.on(events.FETCH_START, ({ payload: { nodeId } }) => {
      // It may have failed because the topic is gone, and kafkajs would go on in one that has been made under its name meanwhile.
      if (this.#fetching.has(nodeId)) this.#unsettle()
      this.#fetching.add(nodeId)
    })
    this.#consumer.on(events.FETCH, ({ payload: { nodeId } }) => {
      this.#fetching.delete(nodeId)
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
    await this.#partitions.begin(positions)
    this.#opened = true
    // Else the next join does it.
    if (this.#inGroup) this.#settle()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error
        if (this.#stopped || (this.#untilEnd && this.#partitions.areAtEnd())) return
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
    return this.#partitions.positions()
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
    this.#inGroup = true
    this.#fetching.clear()
    this.#assignment = assignment
    const owns = Object.values(assignment).some((partitions) => partitions.length > 0)
    if (!owns) {
      this.#giveBack()
      if (this.#ownedSince !== undefined && !this.#stopped) this.#fail(fencedByGroup(this.#group))
      this.#ownedSince = undefined
      return
    }
    this.#ownedSince ??= Date.now()
    this.#unsettle()
    this.#joined?.()
  }

  /** What had been fetched before is fetched again, from where we are. */
  #unsettle(): void {
    this.#unsettled++
    this.#giveBack()
    if (this.#inGroup) this.#consumer.pause(this.#options.topics.map((topic) => ({ topic })))
    if (!this.#opened || this.#settling) return
    this.#settling = true
    this.#goOn().then(
      () => {
        this.#settling = false
      },
      (error: unknown) => this.#fail(error),
    )
  }

  #giveBack(): void {
    this.#settled = false
    this.#waiting?.used(false)
    this.#waiting = undefined
  }

  /** Goes on where we were, in new partitions too, if the topics are still the same. */
  async #goOn(): Promise<void> {
    for (let seen = -1; seen !== this.#unsettled; ) {
      seen = this.#unsettled
      await this.#partitions.check(() => this.#released)
    }
    if (this.#released || !this.#inGroup || this.#ownedSince === undefined) return
    this.#partitions.add(this.#assignment)
    this.#settle()
  }

  #settle(): void {
    for (const { topic, partition, next } of this.#partitions.all())
      this.#consumer.seek({ topic, partition, offset: String(next) })
    this.#settled = true
    this.#consumer.resume(this.#options.topics.map((topic) => ({ topic })))
  }

  async #take({ batch, heartbeat, resolveOffset, isStale, isRunning }: EachBatchPayload): Promise<void> {
    if (!this.#settled || this.#stopped || !isRunning() || isStale()) return
    const name = `${batch.topic}/${batch.partition}`
    const known = this.#partitions.get(name)
    const topic = this.#partitions.idOf(batch.topic)
    if (known === undefined || topic === undefined) return
    const { messages } = batch
    const first = Number(messages[0]?.offset)
    if (first < known.next && this.#backAt !== `${name}@${known.next}`) {
      // Perhaps it was not told how far we are; if it comes again, what we ask for is not there.
      this.#backAt = `${name}@${known.next}`
      this.#unsettle()
      return
    }
    if (first !== known.next) {
      const seen = this.#unsettled
      try {
        await this.#partitions.mayGoOnAt(known, first)
      } catch (error) {
        // A broker that is away is waited for, and asked again.
        if (isMillraceError(error, 'MLR_ERR_SERVER_UNREACHABLE')) this.#unsettle()
        else this.#fail(error)
        return
      }
      if (seen !== this.#unsettled) return
    }
    const next = Number(batch.lastOffset()) + 1
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#waiting = {
      batch: new KafkaBatch({ source: this.#name, partition: name, messages, next: { offset: next, topic } }),
      used: resolve,
    }
    this.#wake?.()
    // While the stream works on it nobody else tells the broker that we live.
    const beating = setInterval(() => {
      // A rebalance, or a broker that is away: the batch is given back, and what comes next is asked for anew.
      heartbeat().catch(() => this.#unsettle())
    }, HEARTBEAT_MS)
    try {
      if (await promise) resolveOffset(String(next - 1))
    } finally {
      clearInterval(beating)
    }
  }

  #movedTo(topic: string, partition: number, next: number): void {
    const known = this.#partitions.get(`${topic}/${partition}`)
    if (known === undefined || !this.#settled || next <= known.next) return
    known.next = next
    this.#wake?.()
  }

  #onCrash(error: Error, restarts: boolean): void {
    this.#inGroup = false
    if (this.#stopped) return
    const told = kafkaError(error, this.#connection.label)
    if (!restarts) {
      this.#fail(told)
      return
    }
    // It restarts for ever; whether the topic is really gone is another question, and asked already.
    if (told.code === 'MLR_ERR_INPUT_MISSING' && this.#opened) {
      this.#unsettle()
      return
    }
    if (this.#silent) return
    this.#silent = true
    this.#say(`Kafka at ${this.#connection.label} does not answer; waiting for it`)
    const { limitMs } = Patience
    if (limitMs === Number.POSITIVE_INFINITY) return
    this.#givingUp = setTimeout(() => this.#fail(givenUp(told)), limitMs)
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#waiting?.used(false)
    this.#wake?.()
    this.#joined?.()
  }
}
