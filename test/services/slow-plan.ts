// A chain that holds the whole process for longer than a member of a consumer group may be silent.
import { aggregate, count, filter, from, kafka, keyBy, map, mongo, pipeline, run } from 'millrace'

const { TOPIC = 'slow', DATABASE: database = 'slow', BLOCK_MS = '0' } = process.env
let blocked = false

/** As a long computation would. */
function block(): void {
  if (blocked) return
  blocked = true
  for (const until = Date.now() + Number(BLOCK_MS); Date.now() < until; );
}

const words = from(kafka({ topic: TOPIC })).pipe(filter((word) => word !== ''))
export const slow = pipeline(
  'slow',
  words
    .pipe(
      map((word) => {
        block()
        return word
      }),
    )
    .pipe(keyBy((word) => word))
    .pipe(aggregate(count()))
    .pipe(map(({ key, value }) => ({ word: key, n: value })))
    .to(mongo({ database, collection: 'words' })),
)

if (import.meta.main) await run(slow)
