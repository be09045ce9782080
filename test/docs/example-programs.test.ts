import { expect, it } from 'vitest'
import { program, shell } from '../support/program.ts'

const CLICKS = [
  '{"user_id":"b","action":"view"}',
  '{"user_id":"a","action":"buy"}',
  'no',
  '{"user_id":"b","action":"buy"}',
].join('\\n')

it('examples/streaming-script.ts counts, with a combiner or without one', async () => {
  const script = 'node examples/streaming-script.ts'
  for (const combined of ['', `LC_ALL=C sort | ${script} combine |`]) {
    const out = await shell(
      `printf '${CLICKS}' | ${script} map 2>/dev/null | ${combined} LC_ALL=C sort | ${script} reduce`,
    )
    expect(out).toEqual({ code: 0, signal: null, stdout: 'a\t1\nb\t2\n', stderr: '' })
  }
  expect((await program(['examples/streaming-script.ts'])).code).toBe(2)
})

it('examples/streaming-script.ts reports counters as Hadoop reads them, where Hadoop runs it', async () => {
  const out = await shell(
    `printf '${CLICKS}' | mapreduce_task_id=task_1 mapreduce_map_input_file=/in/clicks node examples/streaming-script.ts map`,
  )
  expect(out.stderr).toBe(
    'reporter:counter:millrace,map records read,4\nreporter:counter:millrace,skipped MLR_ERR_JSON,1\nskipped /in/clicks:3: 1 parseJson: not JSON: Unexpected token \'o\', "no" is not valid JSON\n',
  )
})

it('examples/plain-streams.ts gives the users who bought', async () => {
  const out = await shell(`printf '${CLICKS}' | node examples/plain-streams.ts`)
  expect(out).toEqual({ code: 0, signal: null, stdout: 'a\nb\n', stderr: '' })
})
