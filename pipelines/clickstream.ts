// The live half of the clickstream story: clicks come in a Kafka topic, the stream keeps a document a user in MongoDB.
//
//   npx node pipelines/clickstream.ts                                     Kafka to MongoDB, until stopped
//   npx node pipelines/clickstream.ts run --from clicks.ndjson --to -     a file to the terminal
import {
  aggregate,
  count,
  fields,
  filter,
  from,
  kafka,
  keyBy,
  latest,
  map,
  mongo,
  parseJson,
  pipeline,
  run,
} from 'millrace'
import { isClick, timeOf } from './click.ts'

export const clickstream = pipeline(
  'clickstream',
  from(kafka({ topic: 'clickstream-data' }))
    .pipe(parseJson())
    .pipe(filter(isClick))
    .pipe(keyBy((click) => click.user_id))
    .pipe(
      aggregate(
        fields({
          click_count: count(),
          last_action: latest((click) => click.action, { by: timeOf }),
        }),
      ),
    )
    .pipe(map(({ key, value }) => ({ user_id: key, ...value })))
    .to(mongo({ database: 'clickstream_db', collection: 'user_clicks', indexes: [{ click_count: -1 }] })),
)

if (import.meta.main) await run(clickstream)
