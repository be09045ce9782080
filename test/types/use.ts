// What must compile, and what must not. Checked by tsc with the rest of the project.
import { pipeline as streamPipeline } from 'node:stream/promises'
import {
  type Aggregate,
  aggregate,
  collect,
  count,
  execute,
  fields,
  file,
  filter,
  flatMap,
  from,
  type Keyed,
  keyBy,
  latest,
  map,
  mapAsync,
  mapper,
  memory,
  type Operator,
  operator,
  parseJson,
  pipeline,
  type Row,
  reduce,
  reducer,
  run,
  type Sink,
  type Stream,
  stdin,
  stdout,
  sum,
  through,
  toDuplex,
  top,
  union,
  validate,
} from 'millrace'
import { aggregateContract, testDriver } from 'millrace/testing'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <T extends true>(): T | undefined => undefined

interface Click {
  user_id: string
  action: 'view' | 'buy'
  product: string
  timestamp: string
  price: number
}
declare const isClick: (value: unknown) => value is Click
declare const time: (text: string) => number | undefined
declare const documents: (options: { name: string }) => Sink<object>

const clicks = from(file('clicks.ndjson')).pipe(parseJson()).pipe(filter(isClick))
is<Equal<typeof clicks, Stream<Click>>>()
const byUser = clicks.pipe(keyBy((click) => click.user_id))
is<Equal<typeof byUser, Stream<Keyed<string, Click>>>>()
const counted = byUser.pipe(aggregate(count()))
is<Equal<typeof counted, Stream<Row<string, number>>>>()

const users = byUser
  .pipe(
    aggregate(
      fields({
        click_count: count(),
        last_action: latest((click) => click.action, { by: (click) => time(click.timestamp) }),
        spent: sum((click) => click.price),
        products: collect((click) => click.product, { limit: 10 }),
      }),
    ),
  )
  .pipe(map(({ key, value }) => ({ user_id: key, ...value })))
users.pipe(
  map((row) => {
    const n: number = row.click_count
    const a: 'view' | 'buy' = row.last_action
    const p: readonly string[] = row.products
    return `${n} ${a} ${p.length}`
  }),
)

const topProducts = clicks
  .pipe(keyBy((click) => [click.action, click.product]))
  .pipe(aggregate(count()))
  .pipe(keyBy((row) => row.key[0]))
  .pipe(aggregate(top(10, (row) => row.value)))
  .pipe(map(({ key, value }) => ({ action: key, products: value.map((row) => row.key[1]) })))
is<Equal<typeof topProducts, Stream<{ action: 'view' | 'buy'; products: string[] }>>>()

const cheapest = byUser.pipe(reduce((a, b) => (a.price < b.price ? a : b)))
is<Equal<typeof cheapest, Stream<Row<string, Click>>>>()
const priced = clicks.pipe(mapAsync(async (click, { record }) => ({ ...click, place: record.partition })))
is<
  Equal<
    typeof priced,
    Stream<{
      place: string
      user_id: string
      action: 'view' | 'buy'
      product: string
      timestamp: string
      price: number
    }>
  >
>()
const checked = from(stdin())
  .pipe(parseJson())
  .pipe(validate(z.object({ n: z.coerce.number() })))
is<Equal<typeof checked, Stream<{ n: number }>>>()
const letters = from(stdin()).pipe(flatMap((line) => line.split('')))
is<Equal<typeof letters, Stream<string>>>()
const late = clicks.side<Click>('late')
is<Equal<typeof late, Stream<Click>>>()
const both = union(clicks, late)
is<Equal<typeof both, Stream<Click>>>()
const bytes = from(memory<Uint8Array>([])).pipe(through(() => process.stdin as never))
is<Equal<typeof bytes, Stream<Uint8Array>>>()

export const clickstream = pipeline(
  'clickstream',
  users.to(documents({ name: 'users' })),
  topProducts.to(stdout()),
  letters.to(stdout()),
  users.to(file('out.json.gz')),
)
if (import.meta.main) await run(clickstream)
const report = await execute(clickstream)
const read: number = report.read
testDriver(clickstream).push(read)

// a user's own operator and aggregate
const everyOther = <T>(): Operator<T, T> =>
  operator<T, T>({
    open: (emit) => {
      let odd = false
      return {
        process: (value) => {
          odd = !odd
          if (odd) emit(value)
        },
      }
    },
  })
is<
  Equal<
    ReturnType<typeof everyOther<Click>>['kind'],
    'stateless' | 'key' | 'aggregate' | 'ordered' | 'boundary' | 'join'
  >
>()
const longest: Aggregate<string, string, number> = {
  name: 'longest',
  init: () => '',
  add: (a, v) => (v.length > a.length ? v : a),
  merge: (a, b) => (b.length > a.length ? b : a),
  finish: (a) => a.length,
}
const lengths = clicks
  .pipe(everyOther())
  .pipe(map((click) => click.product))
  .pipe(keyBy((product) => product.slice(0, 1)))
  .pipe(aggregate(longest))
is<Equal<typeof lengths, Stream<Row<string, number>>>>()
aggregateContract(longest, { values: ['a', 'bb'] })

// plain Node streams
process.stdin
  .pipe(parseJson())
  .pipe(filter(isClick))
  .pipe(map((click) => click.user_id))
  .pipe(process.stdout)
await streamPipeline(
  process.stdin,
  parseJson(),
  filter(isClick),
  map((click: Click) => click.user_id),
  process.stdout,
)
const users10 = toDuplex((input: Stream<string>) =>
  input
    .pipe(parseJson())
    .pipe(filter(isClick))
    .pipe(map((click) => click.user_id)),
)
process.stdin.pipe(users10).pipe(process.stdout)

// Hadoop Streaming scripts of one's own
await mapper(
  parseJson(),
  filter(isClick),
  keyBy((click) => click.user_id),
  aggregate(count()),
)
await reducer(
  count(),
  map(({ key, value }) => `${key}\t${value}`),
)

// must not compile
// @ts-expect-error not keyed
clicks.pipe(aggregate(count()))
// @ts-expect-error no such field
clicks.pipe(map((click) => click.nope))
// @ts-expect-error neighbours that disagree
clicks.pipe(map((click) => click.price)).pipe(keyBy((click: Click) => click.user_id))
// @ts-expect-error a guard was forgotten
from(stdin()).pipe(parseJson()).pipe(map((click: Click) => click.user_id))
// @ts-expect-error a piped chain is a Node stream, no operator: it would drop its first half
clicks.pipe(filter((click: Click) => click.price > 1).pipe(keyBy((click: Click) => click.user_id)))
// @ts-expect-error no such aggregated field
users.pipe(map((row) => row.nope))
// @ts-expect-error a plain aggregate has no window
counted.pipe(map((row) => row.window))
// @ts-expect-error a document is an object
clicks.pipe(map((click) => click.user_id)).to(documents({ name: 'users' }))
// @ts-expect-error a pipeline has at least one flow
pipeline('empty')
// @ts-expect-error a stream is no flow: it has no sink
pipeline('open', clicks)
// @ts-expect-error an object is no key
clicks.pipe(keyBy((click) => click))
// @ts-expect-error a Date is no key
clicks.pipe(keyBy((click) => new Date(click.timestamp)))
// @ts-expect-error a predicate gives a boolean
clicks.pipe(filter((click) => click.product))
// @ts-expect-error no iterable
clicks.pipe(flatMap((click) => click.price))
// @ts-expect-error a sum is of numbers
byUser.pipe(aggregate(sum((click) => click.product)))
// @ts-expect-error no time
byUser.pipe(aggregate(latest((click) => click.product)))
// @ts-expect-error streams of different things
union(clicks, from(stdin()))
// @ts-expect-error a sink is no operator
clicks.pipe(stdout())
// @ts-expect-error a source is no sink
clicks.to(stdin())
// @ts-expect-error the reducer of numbers given texts
byUser.pipe(map(({ key, value }) => ({ key, value: value.product }))).pipe(reduce((a: number, b: number) => a + b))
// @ts-expect-error a mapper's operators fit each other
await mapper(parseJson(), map((text: string) => text.length))
// @ts-expect-error no such policy
parseJson({ onError: 'ignore' })
