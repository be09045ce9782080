// From a Kafka topic to rows that go and come back in MongoDB, events in MongoDB, and events in another topic.
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
import { isClick, timeOf } from '../../pipelines/click.ts'

const { TOPIC = 'clicks', OUT = 'paid', DATABASE: database = 'live', ON_GONE } = process.env
const clicks = from(
  kafka({ topic: TOPIC, group: `live.${TOPIC}`, ...(ON_GONE === 'earliest' ? { onGone: ON_GONE } : {}) }),
)
  .pipe(parseJson())
  .pipe(filter(isClick))
const paid = clicks
  .pipe(filter((click) => click.action === 'paid'))
  .pipe(map((click) => ({ user: click.user_id, at: String(click.timestamp) })))

export const live = pipeline(
  'live',
  clicks
    .pipe(keyBy((click) => click.user_id))
    .pipe(aggregate(fields({ n: count(), last: latest((click) => click.action, { by: timeOf }) }), { name: 'users' }))
    .pipe(filter((row) => row.value.n % 3 !== 0))
    .pipe(map(({ key, value }) => ({ user: key, ...value })))
    .to(mongo({ database, collection: 'users', indexes: [{ n: -1 }] }), { name: 'users' }),
  paid.to(mongo({ database, collection: 'paid' }), { name: 'paid' }),
  paid.to(kafka({ topic: OUT, key: (event) => event.user }), { name: 'out' }),
)

if (import.meta.main) await run(live)
