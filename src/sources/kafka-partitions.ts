import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaConnection, TopicFacts } from '../connections/kafka.ts'
import { isMillraceError, MillraceError } from '../core/errors.ts'
import type { KafkaPosition } from './kafka-batch.ts'
import { type KafkaSourceOptions, type Partition, startsOf, WAYS_ON } from './kafka-positions.ts'

/** How long a topic that was there may be unknown to the broker that is asked: it may just have started. */
const UNKNOWN_MS = 5000

/** The topics that a source reads, and how far each partition was read. */
export class KafkaPartitions {
  readonly #options: KafkaSourceOptions
  readonly #connection: KafkaConnection
  readonly #say: (line: string) => void
  readonly #ids = new Map<string, string>()
  readonly #partitions = new Map<string, Partition>()

  constructor(options: KafkaSourceOptions, connection: KafkaConnection, say: (line: string) => void) {
    this.#options = options
    this.#connection = connection
    this.#say = say
  }

  /** Learns what the topics are. */
  async find(): Promise<void> {
    for (const topic of this.#options.topics) {
      const facts = await this.#connection.topic(topic)
      if (facts === undefined) {
        throw new MillraceError(
          'MLR_ERR_INPUT_MISSING',
          `Kafka at ${this.#connection.label} has no topic '${topic}' — create it, or name another`,
        )
      }
      this.#ids.set(topic, facts.id)
    }
  }

  /** Finds out where to begin. */
  async begin(positions: Readonly<Record<string, unknown>>): Promise<void> {
    for (const [name, id] of this.#ids)
      for (const start of await startsOf({ name, id }, positions, this.#options, this.#connection, this.#say))
        this.#partitions.set(`${name}/${start.partition}`, start)
  }

  get(name: string): Partition | undefined {
    return this.#partitions.get(name)
  }

  idOf(topic: string): string | undefined {
    return this.#ids.get(topic)
  }

  all(): Iterable<Partition> {
    return this.#partitions.values()
  }

  positions(): Readonly<Record<string, KafkaPosition>> {
    return Object.fromEntries(
      [...this.#partitions].map(([name, { topic, next }]) => [
        name,
        { offset: next, topic: this.#ids.get(topic) as string },
      ]),
    )
  }

  /** Whether a run until the end is there. */
  areAtEnd(): boolean {
    return [...this.#partitions.values()].every(
      ({ next, until }) => next >= until || until === Number.POSITIVE_INFINITY,
    )
  }

  /** Partitions that the topics have gained are read from their beginning. */
  add(assignment: Readonly<Record<string, readonly number[]>>): void {
    for (const [topic, partitions] of Object.entries(assignment)) {
      for (const partition of partitions) {
        const name = `${topic}/${partition}`
        if (this.#partitions.has(name)) continue
        this.#say(`${name} is new`)
        this.#partitions.set(name, { topic, partition, next: 0, until: Number.POSITIVE_INFINITY })
      }
    }
  }

  /**
   * Makes sure that the topics are still those that were read. kafkajs would read a topic that was made anew from its beginning, as if it were
   * the old one.
   */
  async check(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      try {
        return await this.#check()
      } catch (error) {
        // It is waited for elsewhere, and as long as it may.
        if (!isMillraceError(error, 'MLR_ERR_SERVER_UNREACHABLE')) throw error
        await sleep(500)
      }
    }
  }

  async #check(): Promise<void> {
    for (const [topic, id] of this.#ids) {
      const facts = await this.#factsOf(topic)
      if (facts?.id === id) continue
      if (facts === undefined)
        throw new MillraceError('MLR_ERR_INPUT_GONE', `the topic ${topic} was deleted while it was read`)
      this.#refuseOrSay(`the topic ${topic} was deleted and made anew while it was read: its records are others`)
      const anew = { name: topic, id: facts.id }
      // Asked for before anything is changed: the answer may not come.
      const starts = await startsOf(anew, {}, { topics: [topic] }, this.#connection, this.#say)
      this.#ids.set(topic, facts.id)
      for (const [name, partition] of this.#partitions) if (partition.topic === topic) this.#partitions.delete(name)
      for (const start of starts) this.#partitions.set(`${topic}/${start.partition}`, start)
    }
  }

  /**
   * Whether what comes next in a partition may begin at an offset. Offsets that are left out belong to transactions and compaction, unless the
   * broker has dropped what was not read yet.
   */
  async mayGoOnAt(known: Partition, first: number): Promise<void> {
    if (first === known.next) return
    const { topic, partition, next } = known
    if (first < next)
      return this.#refuseOrSay(`${topic}/${partition} was read up to ${next}, and has lost records since`)
    const low = (await this.#connection.offsets(topic)).get(partition)?.low ?? 0
    if (low <= next) return
    this.#refuseOrSay(
      `${topic}/${partition} was read up to ${next}, and its earliest record is now ${low}: retention has overtaken the stream`,
    )
  }

  #refuseOrSay(gone: string): void {
    if (this.#options.onGone !== 'earliest') throw new MillraceError('MLR_ERR_INPUT_GONE', `${gone}${WAYS_ON}`)
    this.#say(`${gone}; going on at the earliest record`)
  }

  async #factsOf(topic: string): Promise<TopicFacts | undefined> {
    for (const began = Date.now(); ; ) {
      const facts = await this.#connection.topic(topic)
      if (facts !== undefined || Date.now() - began > UNKNOWN_MS) return facts
      await sleep(500)
    }
  }
}
