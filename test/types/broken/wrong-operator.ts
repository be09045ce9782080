import { aggregate, count, filter, from, keyBy, map, parseJson, pipeline, stdin, stdout } from 'millrace'

interface Click {
  user: string
  price: number
}
const isClick = (value: unknown): value is Click => typeof value === 'object'

export const wrong = pipeline(
  'wrong',
  from(stdin())
    .pipe(parseJson())
    .pipe(filter(isClick))
    .pipe(map((click) => click.price))
    .pipe(keyBy((click: Click) => click.user))
    .pipe(aggregate(count()))
    .to(stdout()),
)
