// The click count with STEPS trivial operators in it.

import { type Click, isClick, timeOf } from '../pipelines/click.ts'
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
} from '../src/index.ts'

let clicks = from(file('clicks.ndjson')).pipe(parseJson()).pipe(filter(isClick))
for (let i = 0; i < Number(process.env.STEPS ?? 0); i++)
  clicks = clicks.pipe(filter((click: Click & { n?: number }) => click.n !== i)) as typeof clicks

const withSteps = pipeline(
  'clickstream-steps',
  clicks
    .pipe(keyBy((click) => click.user_id))
    .pipe(
      aggregate(fields({ click_count: count(), last_action: latest((click: Click) => click.action, { by: timeOf }) })),
    )
    .pipe(map(({ key, value }) => ({ user_id: key, ...value })))
    .to(stdout()),
)
await run(withSteps)
