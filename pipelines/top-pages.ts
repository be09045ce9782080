// The ten most read pages of each hour: an aggregate (hits by hour and page) and, over its table, another (the best of each hour).
//
//   npx node pipelines/top-pages.ts run --format tsv
import { aggregate, count, file, flatMap, from, keyBy, map, pipeline, run, stdout, top } from 'millrace'
import { hourOf, parseRequest } from './access-log-line.ts'

export const topPages = pipeline(
  'top-pages',
  from(file('data/apache_access.log.gz'))
    .pipe(map(parseRequest, { onError: 'skip' }))
    .pipe(keyBy((request) => [hourOf(request.time), request.page]))
    .pipe(aggregate(count(), { name: 'hits' }))
    .pipe(map(({ key: [hour, page], value: hits }) => ({ hour, page, hits })))
    .pipe(keyBy((row) => row.hour))
    .pipe(
      aggregate(
        top(10, (row) => row.hits),
        { name: 'best' },
      ),
    )
    .pipe(
      flatMap(({ value }) => value.map((row, i) => ({ hour: row.hour, rank: i + 1, page: row.page, hits: row.hits }))),
    )
    .to(stdout()),
)

if (import.meta.main) await run(topPages)
