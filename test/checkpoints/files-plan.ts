// Events to rotated files, a table as one file and as a log of its changes, dead letters, and what is not repeatable on two sinks.
import { randomUUID } from 'node:crypto'
import { aggregate, count, file, filter, from, keyBy, map, mapAsync, parseJson, pipeline, run, sqlite } from 'millrace'
import { isClick, timeOf } from '../../pipelines/click.ts'

const out = process.env.OUT ?? 'out'
const clicks = from(file('clicks.ndjson'))
  .pipe(parseJson({ onError: file(`${out}/letters.ndjson`) }))
  .pipe(filter(isClick))
const users = clicks.pipe(keyBy((click) => click.user_id)).pipe(aggregate(count(), { name: 'users' }))
// A row goes away when its count is a multiple of three, and comes back.
const shown = users
  .pipe(filter((row) => row.value % 3 !== 0))
  .pipe(map(({ key, value }) => ({ user: key, clicks: value })))
const tagged = clicks
  .pipe(filter((click) => click.action === 'paid'))
  .pipe(mapAsync(async (click) => ({ user: click.user_id, at: click.timestamp, tag: randomUUID() })))

export const files = pipeline(
  'files',
  clicks.to(file(`${out}/clicks.ndjson`, { rotate: { count: 700 } }), { name: 'clicks' }),
  clicks.to(file(`${out}/hours.ndjson.gz`, { rotate: { every: '1h', by: timeOf, bytes: 200_000 } }), { name: 'hours' }),
  shown.to(file(`${out}/users.json`), { name: 'users' }),
  shown.to(file(`${out}/changes.ndjson`, { table: 'changes', rotate: { count: 5000 } }), { name: 'changes' }),
  tagged.to(file(`${out}/paid.ndjson`, { rotate: { count: 50 } }), { name: 'paid' }),
  tagged.to(sqlite({ path: `${out}/paid.sqlite`, table: 'paid' }), { name: 'paid-rows' }),
)

if (import.meta.main) await run(files)
