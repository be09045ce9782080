// From a file to everything that a sink of files can write, in HDFS or, for comparison, in a folder of this machine.
import { aggregate, count, file, filter, from, hdfs, keyBy, map, parseJson, pipeline, run } from 'millrace'
import { isClick } from '../../pipelines/click.ts'

const { IN = 'in.ndjson', OUT = '/out', PLACE } = process.env
const place = PLACE === 'disk' ? file : hdfs
const clicks = from(file(IN)).pipe(parseJson()).pipe(filter(isClick))
const users = clicks
  .pipe(keyBy((click) => click.user_id))
  .pipe(aggregate(count()))
  .pipe(map(({ key, value }) => ({ user: key, n: value })))

export const toHdfs = pipeline(
  'to-hdfs',
  clicks.to(place(`${OUT}/clicks.ndjson`, { rotate: { count: 300 } }), { name: 'clicks' }),
  clicks
    .pipe(filter((click) => click.action === 'paid'))
    .to(place(`${OUT}/paid.ndjson.gz`, { rotate: { bytes: 5000 } }), { name: 'paid' }),
  users.to(place(`${OUT}/users.ndjson`), { name: 'users' }),
)

if (import.meta.main) await run(toHdfs)
