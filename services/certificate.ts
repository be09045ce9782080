import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OPENSSL, provide } from './requirements.ts'

/** A server's certificate for 127.0.0.1 that it has signed itself, as files. */
export interface Certificate {
  /** What clients must trust. */
  readonly pem: string
  readonly keyAndPem: string
  /** Both, as Java's servers take them. */
  readonly keystore: string
  readonly password: string
}

const PASSWORD = 'millrace'

export function certificateIn(folder: string): Certificate {
  const file = (name: string): string => join(folder, name)
  return {
    pem: file('certificate.pem'),
    keyAndPem: file('key-and-certificate.pem'),
    keystore: file('keystore.p12'),
    password: PASSWORD,
  }
}

/** Makes the files, once. */
export function makeCertificate(folder: string, say: (line: string) => void = () => {}): Certificate {
  const { pem, keyAndPem, keystore, password } = certificateIn(folder)
  if (!existsSync(keystore)) {
    provide([OPENSSL], say)
    mkdirSync(folder, { recursive: true })
    const key = join(folder, 'key.pem')
    const openssl = (...args: readonly string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' })
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', ...subject, '-keyout', key, '-out', pem)
    writeFileSync(keyAndPem, readFileSync(key, 'utf8') + readFileSync(pem, 'utf8'))
    openssl(
      'pkcs12',
      '-export',
      '-inkey',
      key,
      '-in',
      pem,
      '-name',
      'server',
      '-passout',
      `pass:${password}`,
      '-out',
      keystore,
    )
  }
  return { pem, keyAndPem, keystore, password }
}
