import type { CheckpointStore } from '../checkpoints/store.ts'
import type { HdfsConnection, HdfsConnectionOptions } from '../connections/hdfs.ts'
import { MillraceError, show } from '../core/errors.ts'
import type { TextFormat } from '../formats/format.ts'
import { mistakeIn } from '../sinks/event-files.ts'
import type { FilePlace } from '../sinks/file-place.ts'
import type { Sink } from '../sinks/sink.ts'
import type { InputFile } from '../sources/input-files.ts'
import type { Source } from '../sources/source.ts'
import { type FileSinkOptions, type LineSourceOptions, textFormat } from './text.ts'

export interface HdfsOptions extends FileSinkOptions, LineSourceOptions, HdfsConnectionOptions {}

/**
 * A file of HDFS, as source or sink, over WebHDFS. The namenodes are those of the options, else of the environment's MILLRACE_WEBHDFS.
 *
 * Source: lines as strings, as from `file`; the path may be a file, a folder or a glob, and a folder can be followed.
 *
 * Sink: as `file`. Events with checkpoints, or with `rotate`, go to files that are seen when they are closed and whose names carry the positions that they
 * cover; a table is one file that is replaced as a whole, or a log of its changes. With checkpoints exactly once, and the checkpoints lie in HDFS if nothing
 * else is said.
 *
 * @example
 * ```ts no-run
 * const clicks = from(hdfs('/clickstream', { nameNodes: ['127.0.0.1:9870'] })) // Stream<string>
 * ```
 */
export function hdfs(path: string, options: HdfsOptions = {}): Source<string> & Sink<unknown> {
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('//'))
    throw new MillraceError('MLR_ERR_PLAN', `hdfs takes an absolute path, as '/clicks/2026'; got ${show(path)}`)
  const { maxLineBytes, rotate, table, format, columns, ...connecting } = options
  const where = connecting.nameNodes === undefined ? '' : `${connecting.nameNodes.join(',')}`
  return {
    source: {
      kind: 'hdfs',
      label: `hdfs ${where}${path}`,
      bounded: true,
      textLines: true,
      resumable: true,
      open: async (opening) =>
        (await import('../sources/hdfs.ts')).openHdfsSource(path, connecting, { ...opening, maxLineBytes }),
    },
    ...hdfsSink(path, textFormat(options), options, connecting),
  }
}

function hdfsSink(
  path: string,
  format: TextFormat,
  options: FileSinkOptions,
  connecting: HdfsConnectionOptions,
): Sink<unknown> {
  const { rotate, table = 'snapshot' } = options
  const mistake = rotate === undefined ? undefined : mistakeIn(rotate)
  if (mistake !== undefined) throw new MillraceError('MLR_ERR_PLAN', `hdfs ${path}: ${mistake}`)
  if (table !== 'snapshot' && table !== 'changes')
    throw new MillraceError('MLR_ERR_PLAN', `hdfs ${path}: table is 'snapshot' or 'changes'; got ${show(table)}`)
  const connect = async (say?: (line: string) => void): Promise<HdfsConnection> =>
    new (await import('../connections/hdfs.ts')).HdfsConnection(connecting, say)
  const placeOf = async (connection: HdfsConnection): Promise<FilePlace> =>
    (await import('../sinks/hdfs-place.ts')).hdfsPlace(connection)
  const place = async (say?: (line: string) => void): Promise<FilePlace> => placeOf(await connect(say))
  /** What was written is recorded in a file that is replaced each time. */
  const taskPlace = async (say: (line: string) => void): Promise<FilePlace> => {
    const connection = await connect(say)
    if (!(await connection.replaces()))
      throw (await import('../connections/hdfs-errors.ts')).cannotReplace(connection.label, path)
    return placeOf(connection)
  }
  const openOne = async () => {
    const connection = await connect()
    const { openHdfsFile } = await import('../sinks/hdfs-file.ts')
    return openHdfsFile(connection, await placeOf(connection), path, format)
  }
  const files = { path, format, rotate: rotate ?? {} }
  const where = connecting.nameNodes === undefined ? '' : connecting.nameNodes.join(',')
  return {
    sink: {
      kind: 'hdfs',
      label: `hdfs ${where}${path} (${format.format}${rotate === undefined ? '' : ', rotated'})`,
      ...format,
      checkpointUrl: `hdfs://${where}${path.slice(0, path.lastIndexOf('/'))}/.millrace${queryOf(connecting)}`,
      wantsLineage: rotate !== undefined,
      withFormat: (other) => hdfsSink(path, { ...format, ...other }, options, connecting),
      open: async () =>
        rotate === undefined
          ? openOne()
          : (await import('../sinks/event-files-task.ts')).openEventFiles({ ...files, place: await place() }),
      openTask: async ({ pipeline, over, say }) =>
        over === 'table' && table === 'snapshot'
          ? (await import('../sinks/snapshot-file.ts')).openSnapshotTask(path, format, pipeline, await taskPlace(say))
          : (await import('../sinks/event-files-task.ts')).openEventFilesTask(
              { ...files, place: await taskPlace(say) },
              pipeline,
            ),
    },
  }
}

/** Who asks and how, as a URL says it; a token is no part of one. */
function queryOf({ user, tls = false }: HdfsConnectionOptions): string {
  const query = new URLSearchParams({ ...(user === undefined ? {} : { user }), ...(tls ? { tls: 'true' } : {}) })
  return query.size === 0 ? '' : `?${query}`
}

/** Checkpoints of a pipeline in a folder of HDFS. */
export async function hdfsStore(
  options: HdfsConnectionOptions,
  folder: string,
  say: (line: string) => void,
): Promise<CheckpointStore> {
  return (await import('../checkpoints/hdfs.ts')).openHdfsStore(options, folder, say)
}

/** A connection to HDFS, for commands that move files themselves. */
export async function hdfsConnection(
  options: HdfsConnectionOptions,
  say: (line: string) => void,
): Promise<HdfsConnection> {
  return new (await import('../connections/hdfs.ts')).HdfsConnection(options, say)
}

/** The files that a path of HDFS stands for. */
export async function hdfsFiles(connection: HdfsConnection, path: string): Promise<readonly InputFile[]> {
  return (await import('../sources/hdfs.ts')).findHdfsFiles(connection, path)
}
