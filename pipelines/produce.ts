// Clicks into a Kafka topic: made up, or from a file; by default with the user as key.
//
//   npx node pipelines/produce.ts                                          made up, 1,000 a second, until stopped
//   npx node pipelines/produce.ts run --from clicks.ndjson --to 'kafka://127.0.0.1:9092/clickstream-data?key=user_id'
//   npx node pipelines/produce.ts run --from 'clicks:?count=1000' --to kafka://127.0.0.1:9092/clickstream-data     without keys
import { clicks, from, kafka, pipeline, run } from 'millrace'
import { isClick } from './click.ts'

export const produce = pipeline(
  'produce',
  from(clicks({ rate: 1000 })).to(kafka({ topic: 'clickstream-data', key: userIn })),
)

/** The user of a click as a line of JSON; a line that is none has no key. */
function userIn(line: string): string | undefined {
  try {
    const click: unknown = JSON.parse(line)
    return isClick(click) ? click.user_id : undefined
  } catch {
    return undefined
  }
}

if (import.meta.main) await run(produce)
