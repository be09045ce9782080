// Rows that go away again, an aggregate over a table, events, and two sinks: what checkpoints must get right.
import {
  aggregate,
  count,
  fields,
  file,
  filter,
  from,
  keyBy,
  latest,
  map,
  parseJson,
  pipeline,
  run,
  sqlite,
  top,
} from 'millrace'
import { isClick, timeOf } from '../../pipelines/click.ts'

const path = process.env.TABLES ?? 'tables.sqlite'
const clicks = from(file('clicks.ndjson')).pipe(parseJson()).pipe(filter(isClick))
// As if somebody had changed the pipeline between two starts.
const more = process.env.ALTERED !== 'users' ? {} : { again: count() }
const most = process.env.ALTERED === 'actions' ? 3 : 2
const users = clicks.pipe(keyBy((click) => click.user_id)).pipe(
  aggregate(fields({ n: count(), ...more, last: latest((click) => click.action, { by: timeOf }) }), {
    name: 'users',
  }),
)

export const tables = pipeline(
  'tables',
  // A row goes away when its count is a multiple of three, and comes back.
  users
    .pipe(filter((row) => row.value.n % 3 !== 0))
    .pipe(map(({ key, value }) => ({ user: key, ...value })))
    .to(sqlite({ path, table: 'users' }), { name: 'users' }),
  // How many users have done the same last, and the two who clicked most of them.
  users
    .pipe(keyBy((row) => row.value.last))
    .pipe(aggregate(fields({ users: count(), best: top(most, (row) => row.value.n) }), { name: 'actions' }))
    .pipe(map(({ key, value }) => ({ action: key, users: value.users, best: value.best.map((row) => row.key) })))
    .to(sqlite({ path, table: 'actions' }), { name: 'actions' }),
  clicks
    .pipe(filter((click) => click.action === 'paid'))
    .pipe(map((click) => ({ user: click.user_id, at: click.timestamp })))
    .to(sqlite({ path, table: 'paid' }), { name: 'paid' }),
)

if (import.meta.main) await run(tables)
