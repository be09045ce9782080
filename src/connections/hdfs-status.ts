/** As WebHDFS tells it. */
export interface FileStatus {
  readonly pathSuffix: string
  readonly type: string
  readonly length: number
  readonly modificationTime: number
  readonly fileId: number
}

export const PORT = '9870'

export interface HdfsStatus {
  /** Without its folder. */
  readonly name: string
  readonly directory: boolean
  /** 0 while somebody writes it. */
  readonly bytes: number
  /** The file's own number in its cluster: a rename keeps it, no other file gets it. */
  readonly id: number
  readonly modified: number
}

export function statusOf({ pathSuffix, type, length, modificationTime, fileId }: FileStatus, path = ''): HdfsStatus {
  const name = pathSuffix === '' ? path.slice(path.lastIndexOf('/') + 1) : pathSuffix
  return { name, directory: type === 'DIRECTORY', bytes: length, id: fileId, modified: modificationTime }
}

/** As a part of a URL, whatever HDFS takes for a name. */
export function escaped(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

export function defaultNameNodes(): readonly string[] {
  const given = process.env.MILLRACE_WEBHDFS ?? `127.0.0.1:${PORT}`
  return given
    .replace(/^[a-z]+:\/\//, '')
    .replace(/\/.*$/, '')
    .split(',')
}
