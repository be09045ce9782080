// Operators in somebody's stream code, with no pipeline around them: the users who bought, one a line.
//
//   npx node examples/plain-streams.ts < clicks.ndjson
import { pipeline } from 'node:stream/promises'
import { filter, map, parseJson } from 'millrace'
import { type Click, isClick } from '../pipelines/click.ts'

await pipeline(
  process.stdin,
  parseJson(),
  filter(isClick),
  filter((click: Click) => click.action === 'buy'),
  map((click: Click) => `${click.user_id}\n`),
  process.stdout,
)
