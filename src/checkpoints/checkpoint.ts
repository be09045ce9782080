import type { Version } from '../sinks/sink.ts'
import { damaged, seal, unseal } from './sealed.ts'

export type { Version }

/** Who wrote a checkpoint. The name is random and new for each start of a task. */
export interface Owner {
  readonly name: string
  readonly host: string
  readonly bootId: string
  readonly pidNamespace: string
  readonly pid: number
  /** When the process started, in ticks since the machine did: a pid that is used again has another. */
  readonly started: string
  /** Set by a clean stop: nobody owns the task. */
  readonly released: boolean
}

/** A blob that belongs to a checkpoint. */
export interface PartRef {
  readonly name: string
  readonly bytes: number
  /** Parts that were made together, as pieces of one, name the first of them. */
  readonly group?: string
}

/** What a sink is owed, or a piece of it. */
export interface PendingPart extends PartRef {
  readonly flow: string
}

/** The small blob that is a checkpoint: everything else is named by it. */
export interface Head {
  readonly version: Version
  readonly pipeline: string
  /** When it was written, in milliseconds since the epoch; for people. */
  readonly at: number
  readonly owner: Owner
  readonly fingerprint: unknown
  /** By source and partition: how far it was read, and of what. */
  readonly positions: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** The state, oldest part first: a later line of a key stands for all earlier ones. */
  readonly state: readonly PartRef[]
  /** What the sinks are owed, under the number with which it was first committed. */
  readonly pending: { readonly publish: Version; readonly parts: readonly PendingPart[] }
  /** By flow: what its sink's next owner must know. */
  readonly sinks?: Readonly<Record<string, unknown>>
  /** Taken over to be given a state that was computed elsewhere, which has not come yet: until then nobody may go on from here. */
  readonly awaits?: 'history' | undefined
  /** Results that are counts: read, skipped. */
  readonly counts: Readonly<Record<string, number>>
}

export function headName({ generation, number }: Version): string {
  return `head-${String(generation).padStart(6, '0')}-${String(number).padStart(12, '0')}`
}

/** The version that a blob's name tells, or undefined where it is no head. */
export function versionOf(name: string): Version | undefined {
  const match = /^head-(\d{6})-(\d{12})$/.exec(name)
  return match === null ? undefined : { generation: Number(match[1]), number: Number(match[2]) }
}

export function compareVersions(a: Version, b: Version): number {
  return a.generation - b.generation || a.number - b.number
}

export function encodeHead(head: Head): Buffer {
  return seal('head', `${JSON.stringify(head)}\n`)
}

export function decodeHead(name: string, blob: Uint8Array): Head {
  const content = unseal('head', name, blob)
  const head = JSON.parse(content) as Head
  if (headName(head.version) !== name)
    throw damaged(name, `it holds ${headName(head.version)}: it was renamed or copied`)
  return head
}
