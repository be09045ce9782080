// A Hadoop Streaming script of one's own, with our operators inside: how many clicks each user made.
//
//   npx node examples/streaming-script.ts map < clicks.ndjson | LC_ALL=C sort | npx node examples/streaming-script.ts reduce
import { aggregate, combiner, count, filter, keyBy, map, mapper, parseJson, reducer } from 'millrace'
import { isClick } from '../pipelines/click.ts'

const [role] = process.argv.slice(2)

if (role === 'map')
  await mapper(
    parseJson(),
    filter(isClick),
    keyBy((click) => click.user_id),
    aggregate(count()),
  )
else if (role === 'combine') await combiner(count())
else if (role === 'reduce')
  await reducer(
    count(),
    map(({ key, value }) => `${key}\t${value}`),
  )
else {
  process.stderr.write('usage: streaming-script.ts map|combine|reduce\n')
  process.exitCode = 2
}
