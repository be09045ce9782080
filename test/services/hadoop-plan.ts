// Pipelines for the tests of jobs: two sources, and operators that fail or die in a task.
import { aggregate, count, file, filter, from, keyBy, map, parseJson, pipeline, sqlite, stdout, union } from 'millrace'
import { isClick } from '../../pipelines/click.ts'

const { IN = 'clicks.ndjson', DATABASE = 'out.sqlite' } = process.env
const { mapreduce_task_attempt_id: attempt, mapreduce_task_ismap: isMapper } = process.env

/** Clicks of one kind of file count one, those of the other a hundred. */
export const both = pipeline(
  'both',
  union(
    from(file('a'), { name: 'ones' }).pipe(map((line) => ({ key: line, value: 1 }))),
    from(file('b'), { name: 'hundreds' }).pipe(map((line) => ({ key: line, value: 100 }))),
  )
    .pipe(keyBy((pair) => [pair.key, pair.value]))
    .pipe(aggregate(count()))
    .pipe(map(({ key: [word, worth], value }) => ({ word, sum: worth * value })))
    .to(stdout({ format: 'tsv', columns: ['word', 'sum'] })),
)

/** The first attempt of each mapper is killed in the middle. */
export const fragile = pipeline(
  'fragile',
  from(file('clicks.ndjson'))
    .pipe(parseJson())
    .pipe(filter(isClick))
    .pipe(
      map((click, record) => {
        if (isMapper === 'true' && attempt?.endsWith('_0') && (record.position as { line?: number }).line === 500)
          process.kill(process.pid, 'SIGKILL')
        return click
      }),
    )
    .pipe(keyBy((click) => click.action))
    .pipe(aggregate(count()))
    .to(stdout()),
)

/** A task of it takes some seconds. */
export const slow = pipeline(
  'slow',
  from(file('clicks.ndjson'))
    .pipe(parseJson())
    .pipe(filter(isClick))
    .pipe(
      map((click, record) => {
        const { line = 0 } = record.position as { line?: number }
        if (isMapper === 'true' && line % 2000 === 1999)
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
        return click
      }),
    )
    .pipe(keyBy((click) => click.user_id))
    .pipe(aggregate(count()))
    .to(stdout()),
)

export const failing = pipeline(
  'failing',
  from(file('clicks.ndjson'))
    .pipe(
      map((line) => {
        throw new Error(`the operator does not like ${line.slice(0, 10)}`)
      }),
    )
    .pipe(keyBy(() => 'x'))
    .pipe(aggregate(count()))
    .to(stdout()),
)

/** From history to live: a table whose rows go and come back. */
export const live = pipeline(
  'live',
  from(file(IN))
    .pipe(parseJson())
    .pipe(filter(isClick))
    .pipe(keyBy((click) => click.user_id))
    .pipe(aggregate(count(), { name: 'users' }))
    .pipe(filter((row) => row.value % 3 !== 0))
    .pipe(map(({ key, value }) => ({ user: key, n: value })))
    .to(sqlite({ path: DATABASE, table: 'users' })),
)
