// What `user-actions` has counted (`user TAB action TAB count`) as documents a user in MongoDB. Of history only counts are known, so the
// last action is the one that the user did most.
//
//   npx node pipelines/load.ts run --from hdfs://127.0.0.1:9870/user-actions --to 'mongodb://127.0.0.1/clickstream_db?collection=history'
import { aggregate, fields, from, hdfs, keyBy, map, maxBy, mongo, pipeline, run, sum } from 'millrace'

interface UserAction {
  readonly user: string
  readonly action: string
  readonly count: number
}

export const load = pipeline(
  'load',
  from(hdfs('/user-actions'))
    .pipe(map(userAction, { onError: 'skip' }))
    .pipe(keyBy(({ user }) => user))
    .pipe(
      aggregate(
        fields({ click_count: sum(({ count }: UserAction) => count), most: maxBy(({ count }: UserAction) => count) }),
      ),
    )
    .pipe(map(({ key, value: { click_count, most } }) => ({ user_id: key, click_count, last_action: most?.action })))
    .to(mongo({ database: 'clickstream_db', collection: 'user_clicks', indexes: [{ click_count: -1 }] })),
)

/** A line of the job's output; one that is malformed is skipped and counted. */
function userAction(line: string): UserAction {
  const [user = '', action = '', count = '', ...more] = line.split('\t')
  if (user === '' || action === '' || !/^\d+$/.test(count) || more.length > 0)
    throw new Error('is not user TAB action TAB count')
  return { user, action, count: Number(count) }
}

if (import.meta.main) await run(load)
