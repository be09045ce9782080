import { posix } from 'node:path'
import { PassThrough } from 'node:stream'
import type { HdfsConnection } from '../connections/hdfs.ts'
import { cannotReplace } from '../connections/hdfs-errors.ts'
import { MillraceError } from '../core/errors.ts'
import { openFormat, type TextFormat } from '../formats/format.ts'
import type { FilePlace } from './file-place.ts'
import { packerFor, refuseUnpackable } from './packing.ts'
import type { SinkWriter } from './sink.ts'
import { TextOutput } from './text.ts'

/** One file of HDFS, packed by its suffix: seen as a whole when the run has ended well, and what was there before until then. */
export async function openHdfsFile(
  connection: HdfsConnection,
  place: FilePlace,
  path: string,
  format: TextFormat,
): Promise<SinkWriter> {
  refuseUnpackable(path)
  const before = await connection.stat(path)
  if (before?.directory === true)
    throw new MillraceError('MLR_ERR_OUTPUT_EXISTS', `${place.name(path)} is a folder — name a file`)
  if (before !== undefined && !(await connection.replaces())) throw cannotReplace(connection.label, path)
  const temporary = posix.join(posix.dirname(path), `.${posix.basename(path)}.${process.pid}-${Date.now()}.tmp`)
  await connection.makeFolder(posix.dirname(path))
  const head = packerFor(path) ?? new PassThrough()
  const uploaded = connection.createFrom(temporary, head)
  let failed: { readonly error: unknown } | undefined
  uploaded.catch((error: unknown) => {
    failed = { error }
    head.destroy()
  })
  const output = new TextOutput(head, openFormat(format))
  const told = async <T>(run: () => Promise<T>): Promise<T> => {
    try {
      return await run()
    } catch (error) {
      // What the server said is why the stream broke.
      throw failed?.error ?? error
    }
  }
  return {
    write: (given) => told(() => output.write(given)),
    close: () =>
      told(async () => {
        await output.end()
        head.end()
        await uploaded
        output.check()
        await place.replace(temporary, path)
      }),
    abort: async () => {
      head.destroy()
      await uploaded.catch(() => {})
      await connection.remove(temporary)
    },
  }
}
