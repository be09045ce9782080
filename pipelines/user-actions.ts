// The classic Hadoop Streaming job: how often each user did what, as `user TAB action TAB count`.
//
//   npx node pipelines/user-actions.ts batch --input clicks.ndjson --output counts
import { aggregate, count, file, filter, from, keyBy, map, parseJson, pipeline, run, stdout } from 'millrace'
import { isClick } from './click.ts'

export const userActions = pipeline(
  'user-actions',
  from(file('clicks.ndjson'))
    .pipe(parseJson())
    .pipe(filter(isClick))
    .pipe(keyBy((click) => [click.user_id, click.action]))
    .pipe(aggregate(count()))
    .pipe(map(({ key, value }) => ({ user: key[0], action: key[1], count: value })))
    .to(stdout({ format: 'tsv', columns: ['user', 'action', 'count'] })),
)

if (import.meta.main) await run(userActions)
