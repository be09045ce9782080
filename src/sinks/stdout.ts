import type { TextFormat } from '../formats/format.ts'
import { openFormat } from '../formats/format.ts'
import type { SinkWriter, TaskSink } from './sink.ts'
import { flushed, stdoutError } from './standard-output.ts'
import { TextOutput } from './text.ts'

/** Writes to standard output. A reader that closes it (`| head`) ends the run: `MLR_ERR_OUTPUT_CLOSED`. */
export function openStdout(format: TextFormat): SinkWriter {
  const output = new TextOutput(process.stdout, openFormat(format))
  const guard = async (run: () => Promise<void>): Promise<void> => {
    try {
      await run()
    } catch (error) {
      throw stdoutError(error)
    }
  }
  return {
    write: (given) => guard(() => output.write(given)),
    close: () =>
      guard(async () => {
        await output.end()
        await flushed()
        output.check()
      }),
    abort: async () => {},
  }
}

/** As a part of a task: what was written can't be taken back, so a crash may repeat the last rows. */
export function openStdoutTask(format: TextFormat): TaskSink {
  const text = openFormat(format)
  return {
    promise: 'at least once: a crash may repeat the last rows',
    keepsRecord: false,
    recorded: async () => undefined,
    prepare: (outputs) => {
      let prepared = ''
      for (const output of outputs) {
        if (output.kind === 'events') for (const value of output.values) prepared += text.value(value)
        else for (const { key, index, value } of output.changes) prepared += text.row(key, index, value)
      }
      return prepared === '' ? [] : [prepared]
    },
    publish: async (_version, pieces) => {
      const prepared = pieces.join('')
      await new Promise<void>((resolve, reject) => {
        process.stdout.write(prepared, (error) => (error ? reject(stdoutError(error)) : resolve()))
      })
      return prepared.split('\n').length - 1
    },
    close: async () => {},
  }
}
