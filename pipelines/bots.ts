// Who clicks faster than people do: a user whose last ten clicks lie within ten seconds. One alert a burst.
//
//   npx node pipelines/bots.ts run --from clicks.ndjson
//   npx node pipelines/bots.ts batch --input clicks.ndjson
import { file, filter, from, keyBy, parseJson, pipeline, run, stateful, stdout } from 'millrace'
import { type Click, isClick, timeOf } from './click.ts'

const CLICKS = 10
const WITHIN_MS = 10_000

interface Alert {
  readonly user_id: string
  readonly from: string
  readonly to: string
  readonly clicks: number
}

export const bots = pipeline(
  'bots',
  from(file('clicks.ndjson'))
    .pipe(parseJson())
    .pipe(filter(isClick))
    .pipe(filter((click) => timeOf(click) !== undefined))
    .pipe(keyBy((click) => click.user_id))
    .pipe(
      stateful<string, Click, Alert>({
        name: 'bursts',
        time: timeOf,
        open: (emit, context) => {
          const last = context.state<readonly number[]>('last clicks')
          return {
            process: ({ key, value }) => {
              const clicks = [...(last.get() ?? []), timeOf(value) as number]
              const [first, latest] = [clicks.at(-CLICKS), clicks.at(-1)] as [number | undefined, number]
              if (first === undefined || latest - first > WITHIN_MS) return last.set(clicks.slice(1 - CLICKS))
              emit({ user_id: key, from: iso(first), to: iso(latest), clicks: CLICKS })
              // The next alert needs as many clicks again.
              last.delete()
            },
          }
        },
      }),
    )
    .to(stdout()),
)

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

if (import.meta.main) await run(bots)
