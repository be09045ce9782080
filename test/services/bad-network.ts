import {
  createServer as createHttpServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net'
import { Random } from 'millrace/testing'

/**
 * What lies between us and HDFS, and fails: connections to datanodes break after some bytes, in one direction or the other; the namenode does
 * what it is asked, and its answer is lost. Seeded.
 */
export class BadNetwork {
  readonly #random: Random
  readonly #nameNode: string
  readonly #http: Server
  readonly #relays = new Map<string, TcpServer>()
  /** Of a hundred answers of the namenode so many are lost. */
  lost = 0
  /** Of a hundred connections to datanodes so many are cut, if they carry enough. */
  cut = 0
  readonly done = { cutUploads: 0, cutDownloads: 0, lostAnswers: 0 }

  constructor(nameNode: string, seed: number) {
    this.#nameNode = nameNode
    this.#random = new Random(seed)
    this.#http = createHttpServer((asked, answer) => void this.#ask(asked, answer))
  }

  /** Takes the namenode's place: `host:port`. */
  async start(): Promise<string> {
    return listen(this.#http)
  }

  async stop(): Promise<void> {
    this.#http.closeAllConnections()
    for (const server of [this.#http, ...this.#relays.values()]) server.close()
  }

  async #ask(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const [host, port] = this.#nameNode.split(':')
    const forwarded = httpRequest({
      host,
      port,
      method: asked.method,
      path: asked.url,
      headers: asked.headers,
      agent: false,
    })
    forwarded.on('error', () => answer.destroy())
    forwarded.on('response', async (response: IncomingMessage) => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      const text = Buffer.concat(chunks).toString()
      // It was done, and nobody will know.
      if (this.#random.below(100) < this.lost) {
        this.done.lostAnswers++
        answer.destroy()
        return
      }
      const body = await this.#redirected(text)
      answer.writeHead(response.statusCode ?? 500, { 'content-type': 'application/json' })
      answer.end(body)
    })
    asked.pipe(forwarded)
  }

  async #redirected(text: string): Promise<string> {
    const location = /"Location":"http:\/\/([^/"]+)/.exec(text)?.[1]
    return location === undefined ? text : text.replace(location, await this.#relayTo(location))
  }

  async #relayTo(address: string): Promise<string> {
    let relay = this.#relays.get(address)
    if (relay === undefined) {
      relay = createTcpServer((client) => this.#carry(client, address))
      this.#relays.set(address, relay)
      return listen(relay)
    }
    return `127.0.0.1:${(relay.address() as AddressInfo).port}`
  }

  #carry(client: Socket, address: string): void {
    const [host = '', port] = address.split(':')
    const server = connect({ host, port: Number(port) })
    const upload = this.#random.below(2) === 0
    let left =
      this.#random.below(100) < this.cut
        ? this.#random.below(this.#random.below(2) === 0 ? 600 : 20_000)
        : Number.POSITIVE_INFINITY
    const cut = (): void => {
      if (upload) this.done.cutUploads++
      else this.done.cutDownloads++
      client.destroy()
      server.destroy()
    }
    const carry = (from: Socket, to: Socket, counts: boolean): void => {
      from.on('data', (chunk: Buffer) => {
        const part = counts ? chunk.subarray(0, Math.min(left, chunk.length)) : chunk
        if (counts) left -= chunk.length
        to.write(part)
        if (counts && left <= 0) setImmediate(cut)
      })
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
    carry(client, server, upload)
    carry(server, client, !upload)
  }
}

function listen(server: Server | TcpServer): Promise<string> {
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${(server.address() as AddressInfo).port}`)),
  )
}
