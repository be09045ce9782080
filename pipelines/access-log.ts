// Who visited a web site: hits, bytes and the last page of each visitor, from an Apache access log.
//
//   npx node pipelines/access-log.ts run --from data/apache_access.log.gz --format table --sort hits --limit 10
import { aggregate, count, fields, file, from, keyBy, latest, map, pipeline, run, stdout, sum } from 'millrace'
import { parseRequest } from './access-log-line.ts'

export const accessLog = pipeline(
  'access-log',
  from(file('data/apache_access.log.gz'))
    .pipe(map(parseRequest, { onError: 'skip' }))
    .pipe(keyBy((request) => request.visitor))
    .pipe(
      aggregate(
        fields({
          hits: count(),
          bytes: sum((request) => request.bytes),
          last_page: latest((request) => request.page, { by: (request) => request.time }),
        }),
      ),
    )
    .pipe(map(({ key, value }) => ({ visitor: key, ...value })))
    .to(stdout()),
)

if (import.meta.main) await run(accessLog)
