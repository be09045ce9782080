import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Db,
  MongoClient,
  type MongoClientOptions,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
  ReadConcern,
} from 'mongodb'
import { MillraceError, reasonOf } from '../core/errors.ts'
import { printableUrl } from '../core/url.ts'
import { Patience } from './patience.ts'

export interface MongoConnectionOptions {
  /** Default: the environment's MILLRACE_MONGO, else mongodb://127.0.0.1:27017. */
  readonly url?: string | undefined
  readonly database: string
}

const SELECTION_MS = 5000
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [50, 2000]

export function mongoUrl(url: string | undefined): string {
  return url ?? process.env.MILLRACE_MONGO ?? 'mongodb://127.0.0.1:27017'
}

/** A database, as one process sees it: the driver's traps closed, and our own retry around it. */
export class MongoConnection {
  readonly label: string
  readonly database: Db
  readonly #client: MongoClient
  readonly #say: (line: string) => void
  #silent = false

  private constructor(client: MongoClient, database: string, label: string, say: (line: string) => void) {
    this.#client = client
    this.#say = say
    this.label = label
    // What was acknowledged must outlive a crash; w:1 does not.
    this.database = client.db(database, {
      writeConcern: { w: 'majority', journal: true },
      readConcern: new ReadConcern('majority'),
    })
  }

  /** Connects; a server that can't be reached or refuses is told now. */
  static async open(
    { url, database }: MongoConnectionOptions,
    say: (line: string) => void = () => {},
  ): Promise<MongoConnection> {
    const full = mongoUrl(url)
    const label = labelOf(full, database)
    let client: MongoClient
    try {
      client = new MongoClient(full, CLIENT_OPTIONS)
    } catch (error) {
      throw new MillraceError('MLR_ERR_USAGE', `${label}: ${reasonOf(error)}`, { cause: error })
    }
    try {
      await client.connect()
      await client.db(database).command({ ping: 1 })
      return new MongoConnection(client, database, label, say)
    } catch (error) {
      client.close().catch(() => {})
      throw mongoError(error, label)
    }
  }

  /**
   * Runs what may be run twice, and again for as long as the server is away: the driver retries one operation a crash, the others fail
   * without a label.
   */
  async again<T>(run: (database: Db, tries: number) => Promise<T>): Promise<T> {
    const patience = new Patience()
    for (let tries = 0; ; tries++) {
      try {
        const result = await run(this.database, tries)
        if (this.#silent) this.#say(`MongoDB at ${this.label} answers again`)
        this.#silent = false
        return result
      } catch (error) {
        if (!isPassing(error)) throw mongoError(error, this.label)
        patience.failed(mongoError(error, this.label))
        if (!this.#silent && tries > 0) {
          this.#silent = true
          this.#say(`MongoDB at ${this.label} does not answer (${reasonOf(error)}); waiting for it`)
        }
        await sleep(Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries))
      }
    }
  }

  async close(): Promise<void> {
    // After a crash of the server the driver may wait long for it, only to end its sessions.
    await Promise.race([this.#client.close().catch(() => {}), sleep(SELECTION_MS, undefined, { ref: false })])
  }
}

const CLIENT_OPTIONS: MongoClientOptions = {
  appName: 'millrace',
  serverSelectionTimeoutMS: SELECTION_MS,
  connectTimeoutMS: SELECTION_MS,
  // A server that is stopped, not gone, answers nothing: then another connection is tried.
  socketTimeoutMS: 20_000,
  maxPoolSize: 8,
}

/** The server may come back, or another one may become primary: trying again can help. */
function isPassing(error: unknown): boolean {
  const {
    errorLabels = [],
    errorResponse,
    code,
  } = error as {
    errorLabels?: readonly string[]
    errorResponse?: unknown
    code?: unknown
  }
  if (error instanceof MongoNetworkError || error instanceof MongoServerSelectionError) return true
  if (errorResponse instanceof MongoNetworkError) return true
  if (errorLabels.some((label) => /Retryable|Transient|SystemOverloaded/.test(label))) return true
  return typeof code === 'number' && PASSING_CODES.has(code)
}

/** Not primary, stepping down, shutting down, interrupted by that, write concern timed out. */
const PASSING_CODES = new Set([6, 7, 64, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436])

export function isDuplicate(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === 11000
}

/** What went wrong with a database, in our terms: what and where and what to do. */
export function mongoError(error: unknown, where: string): MillraceError {
  if (error instanceof MillraceError) return error
  const { code } = error as { code?: unknown }
  const reason = reasonOf(error)
  if (code === 18 || code === 13 || /requires authentication|Authentication failed/i.test(reason)) {
    const what = code === 18 ? 'refuses the login' : 'does not allow it'
    return new MillraceError('MLR_ERR_SERVER_LOGIN', `MongoDB at ${where} ${what}: ${reason}`, { cause: error })
  }
  if (error instanceof MongoNetworkError || error instanceof MongoServerSelectionError) {
    return new MillraceError(
      'MLR_ERR_SERVER_UNREACHABLE',
      `MongoDB does not answer at ${where}: ${reason} — is it running, are host and port right?`,
      { cause: error },
    )
  }
  return new MillraceError('MLR_ERR_OUTPUT_WRITE', `MongoDB at ${where}: ${reason}`, { cause: error })
}

/** Host and database; never a password. */
function labelOf(url: string, database: string): string {
  const hosts = /^mongodb(?:\+srv)?:\/\/(?:[^@/]*@)?([^/?]+)/.exec(url)?.[1] ?? printableUrl(url)
  return `mongodb://${hosts}/${database}`
}
