import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** What an HDFS server answered instead of doing it. */
export class HdfsError extends Error {
  override readonly name = 'HdfsError'
  /** The class of the exception, without its package. */
  readonly exception: string
  readonly status: number

  constructor(exception: string, message: string, status: number) {
    super(message)
    this.exception = exception
    this.status = status
  }
}

const IDLE_MS = 20_000

export type Body = Uint8Array | Readable | undefined

/** One HTTP request. An answer that is no success is an error; the caller reads the other one's body. */
export async function exchange(method: string, url: URL, body?: Body): Promise<IncomingMessage> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  const bytes = body instanceof Uint8Array ? body : undefined
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = send(url, {
      method,
      // The datanode closes each connection, and one that it is about to close must not be used again.
      agent: false,
      headers: {
        // HttpFS takes nothing else.
        ...(body === undefined ? {} : { 'content-type': 'application/octet-stream' }),
        ...(bytes === undefined ? {} : { 'content-length': bytes.byteLength }),
      },
    })
    // A stream may have nothing to send for long.
    const idleMs = body === undefined || bytes !== undefined ? IDLE_MS : 0
    request.setTimeout(idleMs, () =>
      request.destroy(Object.assign(new Error(`no answer in ${idleMs / 1000} s`), { code: 'ETIMEDOUT' })),
    )
    request.on('response', resolve)
    request.on('error', reject)
    if (body === undefined || bytes !== undefined) request.end(bytes)
    // The answer may come before the body has gone, and says more than a broken pipe.
    else pipeline(body as Readable, request).catch(reject)
  })
  const { statusCode = 0 } = response
  if (statusCode < 400) return response
  throw remoteError(statusCode, await textOf(response))
}

export async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function remoteError(status: number, text: string): HdfsError {
  try {
    const { exception, message } = (JSON.parse(text) as { RemoteException: { exception: string; message: string } })
      .RemoteException
    // A stack of Java may follow.
    return new HdfsError(exception, (message ?? '').split('\n')[0] ?? '', status)
  } catch {
    return new HdfsError(
      status === 401 ? 'AuthenticationException' : '',
      `HTTP ${status} ${text
        .replace(/<[^>]*>/g, ' ')
        .replace(/\s+/g, ' ')
        .trim()
        .slice(0, 120)}`,
      status,
    )
  }
}
