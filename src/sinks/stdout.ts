import type { TextFormat } from '../formats/format.ts'
import { openFormat } from '../formats/format.ts'
import type { SinkWriter } from '../sinks/sink.ts'
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
