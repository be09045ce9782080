/// <reference path="./webhdfs.d.ts" />
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import webhdfs, { type WebHdfsClient } from 'webhdfs'
import { compareBytes } from '../core/canonical.ts'
import { isMillraceError, MillraceError, reasonOf } from '../core/errors.ts'
import { hadoopUser } from './hadoop-user.ts'
import { cannotReplace, classified, exceptionOf, explained, isPassing, missing } from './hdfs-errors.ts'
import { exchange, HdfsError, textOf } from './hdfs-http.ts'
import { defaultNameNodes, escaped, type FileStatus, type HdfsStatus, PORT, statusOf } from './hdfs-status.ts'
import { Patience } from './patience.ts'
import { secret } from './secrets.ts'

export interface HdfsConnectionOptions {
  /** The namenodes' HTTP addresses, `host:9870`; of several the active one is found. Default: the environment's MILLRACE_WEBHDFS, else 127.0.0.1:9870. */
  readonly nameNodes?: readonly string[]
  /** Default: the environment's HADOOP_USER_NAME, else who runs this process. Of no use with a token. */
  readonly user?: string
  /** A delegation token. Default: the environment's MILLRACE_HDFS_TOKEN, or what is in the file that MILLRACE_HDFS_TOKEN_FILE names. */
  readonly token?: string
  readonly tls?: boolean
}

const FIRST_PATIENCE_MS = 5000
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [50, 2000]
const SHUNNED_MS = 3000
const ROOT = '/webhdfs/v1'

/** An HDFS cluster over WebHDFS, as one process sees it: two-step data transfer, verified lengths, renames that answer, and patience. */
export class HdfsConnection {
  readonly label: string
  readonly #nameNodes: readonly string[]
  readonly #scheme: 'http' | 'https'
  readonly #user: string
  readonly #token: string | undefined
  /** Gets what a user should know, a line at a time. */
  readonly say: (line: string) => void
  readonly #clients: readonly WebHdfsClient[]
  /** By address of a datanode that did not answer: until when. */
  readonly #shunned = new Map<string, number>()
  #current = 0
  #answered = false
  #silent = false

  constructor(options: HdfsConnectionOptions = {}, say: (line: string) => void = () => {}) {
    const {
      nameNodes = defaultNameNodes(),
      tls = false,
      user = hadoopUser(),
      token = secret(undefined, 'MILLRACE_HDFS_TOKEN'),
    } = options
    this.#nameNodes = nameNodes.map((address) => (/:\d+$/.test(address) ? address : `${address}:${PORT}`))
    this.#scheme = tls ? 'https' : 'http'
    this.#user = user
    this.#token = token
    this.say = say
    this.label = `hdfs://${this.#nameNodes.join(',')}`
    this.#clients = this.#nameNodes.map((address) => {
      const [, host = '', port = PORT] = /^(.*):(\d+)$/.exec(address) ?? []
      const qs = token === undefined ? {} : { qs: { delegation: token } }
      return webhdfs.createClient(
        { host, port, path: ROOT, protocol: this.#scheme, ...(token === undefined ? { user } : {}) },
        { timeout: FIRST_PATIENCE_MS, ...qs },
      )
    })
  }

  /** Undefined where there is nothing. */
  async stat(path: string): Promise<HdfsStatus | undefined> {
    try {
      return await this.#again((node) =>
        this.#metadata<FileStatus>(node, 'stat', path).then((status) => statusOf(status, path)),
      )
    } catch (error) {
      if (isMillraceError(error, 'MLR_ERR_INPUT_MISSING')) return undefined
      throw error
    }
  }

  /** What is in a folder, in the order of the names' bytes; undefined where there is none. */
  async list(path: string): Promise<readonly HdfsStatus[] | undefined> {
    try {
      const statuses = await this.#again((node) => this.#metadata<readonly FileStatus[]>(node, 'readdir', path))
      // The server's order is by signed bytes.
      return statuses.map((status) => statusOf(status)).sort((a, b) => compareBytes(a.name, b.name))
    } catch (error) {
      if (isMillraceError(error, 'MLR_ERR_INPUT_MISSING')) return undefined
      throw error
    }
  }

  /** With the folders above it; one that is there is no error. */
  async makeFolder(path: string): Promise<void> {
    const made = await this.#again((node) => this.#metadata(node, 'mkdir', path)).catch((error: unknown) => error)
    // The package takes a plain `false` for success.
    if ((await this.stat(path))?.directory === true) return
    throw made instanceof MillraceError
      ? made
      : new MillraceError('MLR_ERR_OUTPUT_WRITE', `${this.label}${path} is no folder, and none could be made`)
  }

  /** Writes a file anew, over one that is there. When it resolves the file is closed and has every byte. */
  async create(path: string, bytes: Uint8Array): Promise<void> {
    await this.#again(async (node) => {
      await this.#upload(node, 'PUT', 'CREATE', path, { overwrite: 'true' }, bytes)
      const length = (await this.stat(path))?.bytes
      if (length !== bytes.byteLength)
        throw new HdfsError('ShortWrite', `${path} has ${length} bytes, and ${bytes.byteLength} were written`, 0)
    })
  }

  /** The same from a stream, which can't be sent twice: a failure is an error. Returns how many bytes came. */
  async createFrom(path: string, body: Readable): Promise<number> {
    let sent = 0
    body.on('data', (chunk: Buffer) => {
      sent += chunk.length
    })
    body.pause()
    // It may fail before anybody reads it.
    const { promise: broken, reject } = Promise.withResolvers<never>()
    body.on('error', reject)
    try {
      await Promise.race([this.#upload(this.#node(), 'PUT', 'CREATE', path, { overwrite: 'true' }, body), broken])
    } catch (error) {
      throw this.#explained(error)
    }
    const length = (await this.stat(path))?.bytes
    if (length !== sent)
      throw new MillraceError('MLR_ERR_OUTPUT_WRITE', `${this.label}${path} has ${length} bytes, and ${sent} were sent`)
    return sent
  }

  /** One try to add to the end of a file that is closed. What failed may have added a part of it. */
  async append(path: string, bytes: Uint8Array): Promise<void> {
    await this.#upload(this.#node(), 'POST', 'APPEND', path, {}, bytes)
  }

  /** The bytes of a file from one on. A connection that breaks is made anew, from where it broke. */
  async *read(path: string, { offset = 0, length = Number.POSITIVE_INFINITY } = {}): AsyncGenerator<Buffer> {
    const end = offset + length
    for (let at = offset; at < end; ) {
      const response = await this.#again(async (node) => {
        const size = (await this.stat(path))?.bytes
        if (size === undefined) throw missing(`there is no file ${this.label}${path}`)
        // An offset at the end is refused, but for that of an empty file.
        if (size <= at) return undefined
        const want: Record<string, string> = Number.isFinite(end) ? { length: String(end - at) } : {}
        const located = await this.#located(node, 'GET', 'OPEN', path, { offset: String(at), ...want })
        return this.#fromDataNode(exchange('GET', located), located)
      })
      if (response === undefined) return
      const announced = Number(response.headers['content-length'])
      const until = at + announced
      try {
        for await (const chunk of response) {
          at += (chunk as Buffer).length
          yield chunk as Buffer
        }
      } catch (error) {
        if (!isPassing(error)) throw this.#explained(error)
        this.say(`${this.label}${path}: the connection broke at byte ${at}; going on from there`)
        continue
      }
      if (!Number.isNaN(announced) && at < until) continue
      if (!Number.isFinite(end)) return
      if (announced === 0) return
    }
  }

  /** A small file as a whole; undefined where there is none. */
  async readWhole(path: string): Promise<Buffer | undefined> {
    try {
      const chunks: Buffer[] = []
      for await (const chunk of this.read(path)) chunks.push(chunk)
      return Buffer.concat(chunks)
    } catch (error) {
      if (isMillraceError(error, 'MLR_ERR_INPUT_MISSING')) return undefined
      throw error
    }
  }

  /**
   * Gives a file another name. 'exists': something has that name, and nothing was done. 'missing': there is no such file, or no folder to
   * move it to; after a lost answer that may mean that it was done.
   */
  async rename(from: string, to: string, over: 'never' | 'replace'): Promise<'done' | 'exists' | 'missing'> {
    try {
      return await this.#again(async (node) => {
        const options = { destination: to, renameoptions: over === 'never' ? 'NONE' : 'OVERWRITE' }
        const answer = await textOf(await exchange('PUT', this.#url(node, 'RENAME', from, options)))
        // A server that does not know the options (HttpFS) renames in the old way, which never replaces.
        if (/"boolean"\s*:\s*true/.test(answer)) return (await this.#wasMovedInto(from, to)) ? 'exists' : 'done'
        if (!/"boolean"\s*:\s*false/.test(answer)) return 'done'
        if ((await this.stat(from)) === undefined) return 'missing'
        if (over === 'never') return 'exists'
        throw cannotReplace(this.label, to)
      })
    } catch (error) {
      if (isMillraceError(error, 'MLR_ERR_INPUT_MISSING')) return 'missing'
      if (exceptionOf(error) === 'FileAlreadyExistsException') return 'exists'
      // A file can't take the name of a folder, which is told in other words.
      if (over === 'never' && exceptionOf(error) === 'IOException' && (await this.stat(to)) !== undefined)
        return 'exists'
      throw error
    }
  }

  /** Whether a rename can replace a file: at a namenode it can; HttpFS does not take the question, and says that nothing was renamed. */
  async replaces(): Promise<boolean> {
    try {
      const options = { destination: '/.millrace', renameoptions: 'OVERWRITE' }
      await this.#again(async (node) =>
        textOf(await exchange('PUT', this.#url(node, 'RENAME', '/.millrace/no/such/file', options))),
      )
      return false
    } catch (error) {
      if (isMillraceError(error, 'MLR_ERR_SERVER_UNREACHABLE')) throw error
      return true
    }
  }

  /** The old way moves into a folder that has the name. It is taken out again. */
  async #wasMovedInto(from: string, to: string): Promise<boolean> {
    const inside = `${to}${from.slice(from.lastIndexOf('/'))}`
    if ((await this.stat(to))?.directory !== true || (await this.stat(inside)) === undefined) return false
    return (await this.rename(inside, from, 'never')) === 'done'
  }

  /** Removes a file or a folder with all that is in it; what is not there is no error. */
  async remove(path: string): Promise<void> {
    await this.#again(async (node) =>
      textOf(await exchange('DELETE', this.#url(node, 'DELETE', path, { recursive: 'true' }))),
    )
  }

  /** Runs what may be run twice, for as long as the cluster is away; one that has never answered is waited for only shortly. */
  async again<T>(run: () => Promise<T>): Promise<T> {
    return this.#again(run)
  }

  async #again<T>(run: (node: number) => Promise<T>): Promise<T> {
    const began = performance.now()
    const patience = new Patience()
    for (let tries = 0; ; tries++) {
      try {
        const result = await run(this.#current)
        if (this.#silent) this.say(`${this.label} answers again`)
        this.#answered = true
        this.#silent = false
        return result
      } catch (error) {
        const passing = isPassing(error)
        // That there is no such file, or no datanode now, is an answer too.
        if (error instanceof HdfsError && error.exception !== '') this.#answered = true
        const waits = this.#answered || performance.now() - began < FIRST_PATIENCE_MS
        if (!passing || !waits) throw this.#explained(error)
        patience.failed(this.#explained(error))
        if (!this.#silent && this.#answered && tries > 1) {
          this.#silent = true
          this.say(`${this.label} can't do it now (${reasonOf(error)}); waiting for it`)
        }
        // Of several namenodes one is active.
        this.#current = (this.#current + 1) % this.#nameNodes.length
        await sleep(Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries))
      }
    }
  }

  #node(): number {
    return this.#current
  }

  /** Through the package, which takes a path that is escaped as it is. */
  #metadata<T>(node: number, call: 'stat' | 'readdir' | 'mkdir', path: string): Promise<T> {
    const client = this.#clients[node] as WebHdfsClient
    return new Promise<T>((resolve, reject) => {
      let status = 0
      const done = (error: Error | null, result?: unknown): void => {
        if (error === null) resolve(result as T)
        else reject(classified(error, status))
      }
      client[call](escaped(path), done).on('response', ({ statusCode = 0 }) => {
        status = statusCode
      })
    })
  }

  async #upload(
    node: number,
    method: 'PUT' | 'POST',
    op: string,
    path: string,
    parameters: Readonly<Record<string, string>>,
    body: Uint8Array | Readable,
  ): Promise<void> {
    const located = await this.#located(node, method, op, path, parameters)
    await textOf(await this.#fromDataNode(exchange(method, located, body), located))
  }

  /** The namenode takes some time to know that a datanode is dead; until then it must be told not to name that one. */
  async #fromDataNode<T>(answer: Promise<T>, { host }: URL): Promise<T> {
    try {
      return await answer
    } catch (error) {
      if (isPassing(error) && !(error instanceof HdfsError)) this.#shunned.set(host, performance.now() + SHUNNED_MS)
      throw error
    }
  }

  #toShun(): Record<string, string> {
    for (const [host, until] of this.#shunned) if (until < performance.now()) this.#shunned.delete(host)
    return this.#shunned.size === 0 ? {} : { excludedatanodes: [...this.#shunned.keys()].join(',') }
  }

  /** Step one: the datanode's address for step two. */
  async #located(
    node: number,
    method: string,
    op: string,
    path: string,
    parameters: Readonly<Record<string, string>>,
  ): Promise<URL> {
    const response: IncomingMessage = await exchange(
      method,
      this.#url(node, op, path, { ...parameters, ...this.#toShun(), noredirect: 'true' }),
    )
    const text = await textOf(response)
    const location = (response.headers.location ?? (JSON.parse(text) as { Location?: string }).Location) as string
    return new URL(location)
  }

  #url(node: number, op: string, path: string, parameters: Readonly<Record<string, string>>): URL {
    const who: Record<string, string> =
      this.#token === undefined ? { 'user.name': this.#user } : { delegation: this.#token }
    const query = new URLSearchParams({ op, ...who, ...parameters })
    return new URL(`${this.#scheme}://${this.#nameNodes[node]}${ROOT}${escaped(path)}?${query}`)
  }

  #explained(error: unknown): MillraceError {
    return explained(error, this.label)
  }
}
