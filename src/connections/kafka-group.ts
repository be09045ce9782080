import type { Consumer, Kafka, PartitionAssigner } from 'kafkajs'
import { kafkajs } from './kafkajs.ts'

const { AssignerProtocol } = kafkajs

/**
 * One member of the group owns every partition, the others stand by: the assigner of a pipeline that runs in one process. The member that has
 * owned longest keeps them; `ownedSince` is asked at each join.
 */
function oneOwner(ownedSince: () => number | undefined): PartitionAssigner {
  return ({ cluster }) => ({
    name: 'millrace-one-owner',
    version: 0,
    protocol: ({ topics }) => ({
      name: 'millrace-one-owner',
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: 0,
        topics,
        userData: Buffer.from(JSON.stringify({ since: ownedSince() ?? null })),
      }),
    }),
    assign: async ({ members, topics }) => {
      const known = members.map(({ memberId, memberMetadata }) => {
        const userData = AssignerProtocol.MemberMetadata.decode(memberMetadata)?.userData
        return { memberId, since: sinceIn(userData) }
      })
      const owner = known.sort((a, b) => a.since - b.since || (a.memberId < b.memberId ? -1 : 1))[0]?.memberId
      const all = Object.fromEntries(
        topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)]),
      )
      return members.map(({ memberId }) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 0,
          assignment: memberId === owner ? all : {},
          userData: Buffer.alloc(0),
        }),
      }))
    },
  })
}

function sinceIn(userData: Buffer | undefined): number {
  try {
    const { since } = JSON.parse((userData ?? Buffer.alloc(0)).toString()) as { since: number | null }
    return since ?? Number.POSITIVE_INFINITY
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

const SESSION_MS = 10_000
export const HEARTBEAT_MS = 1000
/** How long a fetch waits for records: it is also how long a stop takes. */
const LONG_POLL_MS = 200
/** New partitions are found so soon. */
const METADATA_MS = 10_000

/** A member of a group in which one member reads every partition. */
export function soleConsumer(
  client: Kafka,
  groupId: string,
  { ownedSince, waits }: { readonly ownedSince: () => number | undefined; readonly waits: () => boolean },
): Consumer {
  return client.consumer({
    groupId,
    sessionTimeout: SESSION_MS,
    rebalanceTimeout: SESSION_MS,
    heartbeatInterval: HEARTBEAT_MS,
    maxWaitTimeInMs: LONG_POLL_MS,
    metadataMaxAge: METADATA_MS,
    allowAutoTopicCreation: false,
    readUncommitted: false,
    partitionAssigners: [oneOwner(ownedSince)],
    // The brokers may be away for long: they are waited for.
    retry: { initialRetryTime: 200, maxRetryTime: 2000, retries: 6, restartOnFailure: async () => waits() },
  })
}
