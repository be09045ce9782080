// A call that never comes back, and looks at no signal.
import { from, mapAsync, memory, pipeline, run, stdout } from 'millrace'

const stuck = mapAsync((n: number) => {
  process.stderr.write('stuck now\n')
  setInterval(() => {}, 1000)
  return new Promise<number>(() => n)
})

if (import.meta.main)
  await run(
    pipeline(
      'stuck',
      from(memory([1]))
        .pipe(stuck)
        .to(stdout()),
    ),
  )
