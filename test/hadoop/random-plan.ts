import {
  type Aggregate,
  aggregate,
  collect,
  count,
  countDistinct,
  earliest,
  fields,
  filter,
  flatMap,
  from,
  keyBy,
  latest,
  map,
  max,
  maxBy,
  mean,
  minBy,
  operator,
  type Pipeline,
  parseJson,
  pipeline,
  run,
  type Stream,
  stdin,
  stdout,
  sum,
  tap,
  top,
  union,
} from 'millrace'
import { Random } from 'millrace/testing'
import { isClick, timeOf } from '../../pipelines/click.ts'

interface Event {
  readonly user: string
  readonly action: string
  readonly n: number
  readonly time: number | undefined
}

/** A pipeline made by chance: the same seed makes the same one, in every process. */
export function randomPlan(seed: number): Pipeline {
  const random = new Random(seed)
  let events: Stream<Event> = from(stdin())
    .pipe(parseJson())
    .pipe(filter(isClick))
    .pipe(
      map((click) => ({
        user: click.user_id,
        action: click.action,
        n: finite((click as { n?: unknown }).n),
        time: timeOf(click),
      })),
    )
  for (let steps = random.below(4); steps > 0; steps--) events = events.pipe(random.pick(STEPS)())
  if (random.chance(0.3))
    events = union(events.pipe(filter((event) => event.n < 50)), events.pipe(filter((event) => event.n >= 20)))
  const format = random.pick([{ format: 'json' }, { format: 'tsv' }] as const)
  if (random.chance(0.1)) return pipeline('random', events.to(stdout(format)))
  const keyed = random.pick(KEYS)(events)
  let table = random.pick(TABLES)(keyed)
  if (random.chance(0.4)) table = table.pipe(filter((row) => JSON.stringify(row.key).length % 3 !== 0))
  if (random.chance(0.5)) {
    const again = random.pick<Stream<{ key: string; value: Row }>>([
      table.pipe(keyBy((row) => JSON.stringify(row.value).length % 4)),
      table.pipe(keyBy((row) => typeof row.key === 'object')),
      table
        .pipe(map((row) => ({ ...row, wide: JSON.stringify(row.key).length })))
        .pipe(keyBy((row) => [row.wide % 3, 'x'])),
    ] as never)
    const second: Stream<Row> = random.pick([
      () =>
        again.pipe(aggregate(fields({ rows: count(), best: top(2, (row: Row) => JSON.stringify(row.key).length) }))),
      () => again.pipe(aggregate(collect((row: Row) => row.key, { limit: 5 }))),
      () => again.pipe(aggregate(countDistinct((row: Row) => row.value))),
    ])()
    table = second
  }
  if (random.chance(0.3))
    return pipeline('random', table.pipe(flatMap((row) => [row, { key: row.key, value: 'again' }])).to(stdout(format)))
  return pipeline('random', table.to(stdout(format)))
}

const finite = (n: unknown): number => (typeof n === 'number' && Number.isFinite(n) ? n : 0)

interface Row {
  readonly key: unknown
  readonly value: unknown
}

const STEPS = [
  () => map((event: Event) => ({ ...event, action: event.action.toUpperCase() })),
  () => filter((event: Event) => event.user.length !== 1),
  () => flatMap((event: Event) => (event.n % 2 === 0 ? [event, { ...event, user: `${event.user}'` }] : [event])),
  () => tap<Event>(() => {}),
  () =>
    operator<Event, Event>({
      name: 'own',
      open: (emit) => ({
        process: (event) => {
          if (event.n !== 7) emit(event)
        },
      }),
    }),
]

const KEYS = [
  (events: Stream<Event>) => events.pipe(keyBy((event) => event.user)),
  (events: Stream<Event>) => events.pipe(keyBy((event) => [event.user, event.action])),
  (events: Stream<Event>) => events.pipe(keyBy((event) => event.n)),
  (events: Stream<Event>) => events.pipe(keyBy((event) => [event.n < 50, [event.action]])),
] as unknown as ((events: Stream<Event>) => Stream<{ key: string; value: Event }>)[]

const ALL: Record<string, Aggregate<Event, unknown, unknown>> = {
  count: count() as Aggregate<unknown, unknown, unknown>,
  sum: sum((event) => event.n) as Aggregate<Event, unknown, unknown>,
  mean: mean((event) => event.n / 3) as Aggregate<Event, unknown, unknown>,
  max: max((event) => event.n) as Aggregate<Event, unknown, unknown>,
  latest: latest((event) => event.action, { by: (event) => event.time }),
  earliest: earliest((event) => event, { by: (event) => event.time }),
  maxBy: maxBy((event) => event.n),
  minBy: minBy((event) => event.n),
  top: top(3, (event) => event.n) as Aggregate<Event, unknown, unknown>,
  collect: collect((event) => event.user, { limit: 4 }),
  distinct: countDistinct((event) => event.user),
}

const TABLES = [
  ...Object.values(ALL).map((one) => (keyed: Stream<{ key: string; value: Event }>) => keyed.pipe(aggregate(one))),
  (keyed: Stream<{ key: string; value: Event }>) => keyed.pipe(aggregate(fields(ALL))),
] as ((keyed: Stream<{ key: string; value: Event }>) => Stream<Row>)[]

export const chosen = randomPlan(Number(process.env.PLAN_SEED ?? 1))
if (import.meta.main) await run(chosen)
