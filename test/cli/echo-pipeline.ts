// Lines in, lines out.
import { from, pipeline, run, stdin, stdout } from 'millrace'

if (import.meta.main) await run(pipeline('echo', from(stdin()).to(stdout({ format: 'lines' }))))
