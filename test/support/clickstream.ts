// The click count from a file to the terminal: what the tests of the command line run.
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
  stdout,
} from 'millrace'
import { isClick, timeOf } from '../../pipelines/click.ts'

export const clickstream = pipeline(
  'clickstream',
  from(file('clicks.ndjson'))
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
    .to(stdout()),
)

if (import.meta.main) await run(clickstream)
