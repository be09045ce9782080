// The clicks of a Kafka topic as files in HDFS, exactly once: each file is an unbroken run of one partition and is named by its offsets.
//
//   npx node pipelines/archive.ts                                      until stopped
//   npx node pipelines/archive.ts run --until-end --rotate 100000      up to where the topic ends now
import { from, hdfs, kafka, pipeline, run } from 'millrace'

export const archive = pipeline(
  'archive',
  from(kafka({ topic: 'clickstream-data' })).to(
    hdfs('/clickstream/clicks.ndjson', { format: 'lines', rotate: { bytes: 64_000_000, after: '5m' } }),
  ),
)

if (import.meta.main) await run(archive)
