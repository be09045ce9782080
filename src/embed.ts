import type { Aggregate } from './core/aggregate.ts'
import { type Keyed, keyText } from './core/key.ts'
import type { AnyOperator, Operator } from './core/operator.ts'
import { stdin, stdout } from './ends.ts'
import { formatJsonLine } from './formats/json.ts'
import { aggregate, type Row } from './operators/aggregate.ts'
import { keyBy } from './operators/key-by.ts'
import { map } from './operators/map.ts'
import { from, pipeline, type Stream } from './plan/pipeline.ts'
import type { Plan } from './plan/plan.ts'

/**
 * The mapper of a Hadoop Streaming script of your own: reads lines from stdin, writes to stdout. What it writes goes by the last
 * operator: after `aggregate`, `key TAB accumulator`, merged as far as memory allows; after `keyBy`, `key TAB value` as JSON; else the
 * values, texts as they are and others as JSON. Resolves when everything is written; counters go to stderr in Hadoop's form.
 *
 * @example
 * ```ts no-run
 * // count.ts: hadoop jar hadoop-streaming.jar -files count.ts -mapper 'node count.ts map' -reducer 'node count.ts reduce' …
 * if (process.argv[2] === 'map') await mapper(parseJson(), filter(isClick), keyBy((click) => click.user_id), aggregate(count()))
 * else await reducer(count(), map(({ key, value }) => `${key}\t${value}`))
 * ```
 */
export function mapper<A>(a: Operator<string, A>): Promise<void>
export function mapper<A, B>(a: Operator<string, A>, b: Operator<A, B>): Promise<void>
export function mapper<A, B, C>(a: Operator<string, A>, b: Operator<A, B>, c: Operator<B, C>): Promise<void>
export function mapper<A, B, C, D>(
  a: Operator<string, A>,
  b: Operator<A, B>,
  c: Operator<B, C>,
  d: Operator<C, D>,
): Promise<void>
export function mapper<A, B, C, D, E>(
  a: Operator<string, A>,
  b: Operator<A, B>,
  c: Operator<B, C>,
  d: Operator<C, D>,
  e: Operator<D, E>,
): Promise<void>
export function mapper<A, B, C, D, E, F>(
  a: Operator<string, A>,
  b: Operator<A, B>,
  c: Operator<B, C>,
  d: Operator<C, D>,
  e: Operator<D, E>,
  f: Operator<E, F>,
): Promise<void>
export async function mapper(...operators: readonly AnyOperator[]): Promise<void> {
  let stream: Stream<unknown> = from<unknown>(stdin())
  for (const operator of operators) stream = stream.pipe(operator)
  if (operators.at(-1)?.kind === 'key') stream = stream.pipe(map(keyedLine as (value: unknown) => string))
  await play('map', planOf('mapper', stream))
}

/**
 * The combiner to the same aggregate: sorted `key TAB accumulator` lines in, one line a key out.
 *
 * @example
 * ```ts no-run
 * await combiner(count())
 * ```
 */
export async function combiner<In, Acc, Out>(by: Aggregate<In, Acc, Out>): Promise<void> {
  await play('combine', planOf('combiner', aggregated(by)))
}

/**
 * The reducer to the same aggregate: sorted `key TAB accumulator` lines in; its rows, `{ key, value }`, through the operators; out
 * come texts as they are and others as JSON, one a line, in the order of the keys.
 *
 * @example
 * ```ts no-run
 * await reducer(count(), map(({ key, value }) => `${key}\t${value}`))
 * ```
 */
export function reducer<In, Acc, Out>(by: Aggregate<In, Acc, Out>): Promise<void>
export function reducer<In, Acc, Out, A>(by: Aggregate<In, Acc, Out>, a: Operator<Row<string, Out>, A>): Promise<void>
export function reducer<In, Acc, Out, A, B>(
  by: Aggregate<In, Acc, Out>,
  a: Operator<Row<string, Out>, A>,
  b: Operator<A, B>,
): Promise<void>
export function reducer<In, Acc, Out, A, B, C>(
  by: Aggregate<In, Acc, Out>,
  a: Operator<Row<string, Out>, A>,
  b: Operator<A, B>,
  c: Operator<B, C>,
): Promise<void>
export async function reducer(
  by: Aggregate<never, unknown, unknown>,
  ...operators: readonly AnyOperator[]
): Promise<void> {
  let stream: Stream<unknown> = aggregated(by)
  for (const operator of operators) stream = stream.pipe(operator)
  await play('reduce', planOf('reducer', stream))
}

function aggregated<In, Acc, Out>(by: Aggregate<In, Acc, Out>): Stream<unknown> {
  return from(stdin())
    .pipe(keyBy(() => ''))
    .pipe(aggregate(by as unknown as Aggregate<string, Acc, Out>)) as Stream<unknown>
}

function keyedLine({ key, value }: Keyed<string, unknown>): string {
  return `${keyText(key)}\t${formatJsonLine(value)}`
}

function planOf(name: string, stream: Stream<unknown>): Plan {
  return pipeline(name, stream.to(stdout({ format: 'lines' }))).plan
}

async function play(name: 'map' | 'combine' | 'reduce', plan: Plan): Promise<void> {
  // Loaded when used: whoever imports millrace for a stream does not pay for it.
  const { combineRole, mapRole, reduceRole } = await import('./hadoop/roles.ts')
  const { readStdin } = await import('./hadoop/role-input.ts')
  const { reportRole } = await import('./hadoop/role-report.ts')
  const role = { map: mapRole, combine: combineRole, reduce: reduceRole }[name]
  const source = plan.sources[0]!
  reportRole(name, await role({ plan, flow: plan.flows[0]!, step: 1, source }, readStdin(source.name), process.stdout))
}
