/** The calls of the package that are used here; it brings no types. */
declare module 'webhdfs' {
  export interface FileStatus {
    readonly pathSuffix: string
    readonly type: 'FILE' | 'DIRECTORY' | 'SYMLINK'
    readonly length: number
    readonly modificationTime: number
    readonly fileId: number
  }

  export interface WebHdfsClient {
    stat(path: string, done: (error: Error | null, status?: FileStatus) => void): void
    readdir(path: string, done: (error: Error | null, statuses?: readonly FileStatus[]) => void): void
    mkdir(path: string, done: (error: Error | null) => void): void
  }

  const webhdfs: {
    createClient(
      options: {
        readonly user?: string
        readonly host: string
        readonly port: string
        readonly path: string
        readonly protocol: 'http' | 'https'
      },
      request?: Readonly<Record<string, unknown>>,
    ): WebHdfsClient
  }
  // biome-ignore lint/style/noDefaultExport: it is what the package has.
  export default webhdfs
}
