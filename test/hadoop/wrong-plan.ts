// Depends on the order of its values, which is what verify is there to find.
import { aggregate, filter, from, keyBy, parseJson, pipeline, run, stdin, stdout } from 'millrace'
import { isClick } from '../../pipelines/click.ts'

const joined = {
  name: 'joined',
  init: () => '',
  add: (text: string, click: { action: string }) => text + click.action,
  merge: (a: string, b: string) => `${a}|${b}`,
  finish: (text: string) => text,
}

export const wrong = pipeline(
  'wrong',
  from(stdin())
    .pipe(parseJson())
    .pipe(filter(isClick))
    .pipe(keyBy((click) => click.user_id))
    .pipe(aggregate(joined))
    .to(stdout()),
)
if (import.meta.main) await run(wrong)
