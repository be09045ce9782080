import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchJars } from './maven.ts'
import { type ServerProcess, startProcess } from './processes.ts'

const VERSION = '3.5.0'
export const REALM = 'MILLRACE.TEST'
/** The servers' own: their host is what 127.0.0.1 is called. */
export const [HDFS_PRINCIPAL, HTTP_PRINCIPAL] = [`hdfs/localhost@${REALM}`, `HTTP/localhost@${REALM}`]

export interface KerberosFiles {
  /** What Java must be told of the realm. */
  readonly conf: string
  /** The keys of everybody. */
  readonly keytab: string
}

export function kerberosIn(folder: string): KerberosFiles {
  return { conf: join(folder, 'kerberos', 'krb5.conf'), keytab: join(folder, 'kerberos', 'keytab') }
}

/** A real key distribution centre on 127.0.0.1, for the servers and some users; ready when it resolves. */
export async function startKerberos(options: {
  readonly id: string
  readonly folder: string
  readonly port: number
  /** Jars of Hadoop, which bring what it logs with. */
  readonly lib: string
  readonly users: readonly string[]
  readonly say?: ((line: string) => void) | undefined
}): Promise<ServerProcess> {
  const { id, folder, port, lib, users, say = () => {} } = options
  const jars = fetchJars(
    {
      name: `minikdc-${VERSION}`,
      what: 'a Kerberos server (4 MB)',
      artifacts: [`org.apache.hadoop:hadoop-minikdc:${VERSION}`],
    },
    say,
  )
  const work = join(folder, 'kerberos')
  mkdirSync(work, { recursive: true })
  const [organization, domain] = REALM.split('.')
  const properties = join(work, 'kdc.properties')
  writeFileSync(
    properties,
    Object.entries({
      'org.name': organization,
      'org.domain': domain,
      'kdc.bind.address': '127.0.0.1',
      'kdc.port': port,
      instance: 'millrace',
      'max.ticket.lifetime': 86_400_000,
      'max.renewable.lifetime': 604_800_000,
      transport: 'TCP',
      debug: false,
    })
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  const log = join(work, 'kdc.log')
  writeFileSync(log, '')
  const principals = [HDFS_PRINCIPAL, HTTP_PRINCIPAL].map((name) => name.replace(`@${REALM}`, '')).concat(users)
  const main = ['org.apache.hadoop.minikdc.MiniKdc', work, properties, kerberosIn(folder).keytab, ...principals]
  const server = startProcess({
    id: `${id}-kerberos`,
    service: 'hdfs',
    url: `kerberos://127.0.0.1:${port}`,
    log,
    command: 'java',
    args: [
      '-Xmx64m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-cp',
      `${join(jars, '*')}:${join(lib, '*')}`,
      ...main,
    ],
  })
  await server.until(() => server.tail(30).includes('created keytab'), 60_000)
  return server
}
