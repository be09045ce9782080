import kafkajs, { type PartitionAssigner } from 'kafkajs'

const { AssignerProtocol } = kafkajs

/**
 * One member of the group owns every partition, the others stand by: the assigner of a pipeline that runs in one process. The member that has
 * owned longest keeps them; `ownedSince` is asked at each join.
 */
export function oneOwner(ownedSince: () => number | undefined): PartitionAssigner {
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
