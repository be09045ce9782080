// Fails on the second line, in code of the user's own.
import { from, map, pipeline, run, stdin, stdout } from 'millrace'

const lengths = new Map([['a', 'one']])
const lengthOf = (line: string): number => (lengths.get(line) as string).length

if (import.meta.main) await run(pipeline('broken', from(stdin()).pipe(map(lengthOf)).to(stdout())))
