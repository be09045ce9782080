// `npm start`: one real job on real input, as a stream and as a batch, and what to try next.
import { fileURLToPath } from 'node:url'
import { accessLog } from '../pipelines/access-log.ts'
import { main } from '../src/cli/main.ts'
import { verifyFlow } from '../src/verify.ts'

const log = 'data/apache_access.log.gz'
const module = fileURLToPath(new URL('../pipelines/access-log.ts', import.meta.url))
const reenter = (command: string): readonly string[] => [module, command]

await main(accessLog, ['run', '--from', log, '--format', 'table', '--sort', 'hits', '--limit', '10'], {
  program: 'npm start',
  module,
  reenter,
})
if (process.exitCode === undefined || process.exitCode === 0) {
  const { plan } = accessLog
  const flow = plan.flows[0]!
  const verdicts = await verifyFlow({ plan, flow, inputs: new Map([['file', log]]), reenter })
  const same = verdicts.every(({ difference }) => difference === undefined)
  process.stderr.write(`same bytes as the batch engine: ${same ? 'yes' : 'NO — npx node pipelines/access-log.ts verify shows where'}

Next:
  npx node pipelines/top-pages.ts run --format table --limit 30
  npx node pipelines/access-log.ts verify --input ${log}
`)
  if (!same) process.exitCode = 1
}
