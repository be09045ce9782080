import { randomUUID } from 'node:crypto'
import type { KafkaSourceOptions } from './kafka-positions.ts'
import { KafkaReader } from './kafka-reader.ts'
import type { Claim, ClaimOptions, SourceOptions, SourceReader } from './source.ts'

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
