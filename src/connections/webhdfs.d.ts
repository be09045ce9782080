/** The calls of the package that are used here; it brings no types. */
declare module 'webhdfs' {
  /** It tells what an error does not: the status of the answer. */
  export interface Request {
    on(event: 'response', listener: (response: { readonly statusCode?: number }) => void): unknown
  }

  export interface WebHdfsClient {
    stat(path: string, done: (error: Error | null, status?: unknown) => void): Request
    readdir(path: string, done: (error: Error | null, statuses?: unknown) => void): Request
    mkdir(path: string, done: (error: Error | null) => void): Request
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
