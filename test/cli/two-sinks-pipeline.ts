// Lines to stdout and to a file.
import { file, from, pipeline, run, stdin, stdout } from 'millrace'

const lines = from(stdin())
if (import.meta.main)
  await run(pipeline('two-sinks', lines.to(stdout({ format: 'lines' })), lines.to(file('lines.txt'))))
