import { isGoneText } from '../checkpoints/owner.ts'
import type { KafkaConnection, KafkaConnectionOptions } from '../connections/kafka.ts'
import { MillraceError } from '../core/errors.ts'
import type { KafkaPosition } from './kafka-batch.ts'

export interface KafkaSourceOptions extends KafkaConnectionOptions {
  readonly topics: readonly string[]
  /** Where to begin without a checkpoint: 'earliest' (the default), 'latest', or a time in ms since the epoch. */
  readonly start?: 'earliest' | 'latest' | number
  /** The consumer group. Default: `millrace.PIPELINE`. */
  readonly group?: string
  /** What to do where a checkpoint's position is gone (retention, a topic that was made anew): 'fail' (the default) or go on at the 'earliest'. */
  readonly onGone?: 'fail' | 'earliest'
}

export const WAYS_ON =
  " — go on with what is there with { onGone: 'earliest' } or ?on-gone=earliest, or start again with --fresh"

/** How far a partition was read. */
export interface Partition {
  readonly topic: string
  readonly partition: number
  /** The next offset to read. */
  next: number
  /** Where a run until the end ends. */
  readonly until: number
}

/** Where the partitions of a topic are to be read from: where a checkpoint says, if that is still there, else where the options say. */
export async function startsOf(
  topic: { readonly name: string; readonly id: string },
  positions: Readonly<Record<string, unknown>>,
  { start = 'earliest', onGone = 'fail' }: KafkaSourceOptions,
  connection: KafkaConnection,
  say: (line: string) => void,
): Promise<readonly Partition[]> {
  const ranges = await connection.offsets(topic.name)
  const at = typeof start === 'number' ? await connection.offsetsAt(topic.name, start) : undefined
  const known = Object.keys(positions).some((name) => name.startsWith(`${topic.name}/`))
  return [...ranges].map(([partition, { low, high }]) => {
    const name = `${topic.name}/${partition}`
    const position = positions[name] as KafkaPosition | undefined
    const starting = (next: number): Partition => ({ topic: topic.name, partition, next, until: high })
    if (position === undefined) {
      // A partition that is newer than the checkpoint is read from its beginning.
      if (known) return starting(low)
      return starting(start === 'latest' ? high : (at?.get(partition) ?? low))
    }
    const gone = whyGone(name, position, topic.id, low, high)
    if (gone === undefined) return starting(position.offset)
    if (onGone === 'earliest') {
      say(`${gone}; going on at the earliest record, ${low}`)
      return starting(low)
    }
    throw new MillraceError('MLR_ERR_INPUT_GONE', `${gone}${WAYS_ON}`)
  })
}

/** Why a checkpoint's position can't be gone on from, if it can't. */
function whyGone(name: string, position: KafkaPosition, topic: string, low: number, high: number): string | undefined {
  if (position.topic !== topic)
    return `the topic of ${name} was deleted and made anew since the checkpoint: its records are others`
  if (position.offset < low)
    return `${name} was read up to ${position.offset}, and its earliest record is now ${low}: ${low - position.offset} records are gone by retention`
  if (position.offset > high)
    return `${name} was read up to ${position.offset}, and it ends at ${high}: records are gone`
  return undefined
}

/** Positions by partition's name, as a group commits them. */
export function offsetsOf(
  positions: Readonly<Record<string, unknown>>,
): { readonly topic: string; readonly partition: number; readonly offset: string }[] {
  return Object.entries(positions).map(([name, position]) => {
    const slash = name.lastIndexOf('/')
    const { offset } = position as KafkaPosition
    return { topic: name.slice(0, slash), partition: Number(name.slice(slash + 1)), offset: String(offset) }
  })
}

export function fencedByGroup(group: string): MillraceError {
  return new MillraceError(
    'MLR_ERR_FENCED',
    `another member of the group ${group} reads the topic now. This one stops and changes nothing`,
  )
}

/** A member of a group that ran on this machine, and whose process is no more. */
export function isDeadHere(clientId: string): boolean {
  return isGoneText(clientId.split(' ').at(-1) ?? '')
}
