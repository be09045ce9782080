import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type KafkaCluster, OwnServers } from '../../services/index.ts'
import { KafkaConnection, type KafkaConnectionOptions } from '../../src/connections/kafka.ts'
import { type Ended, program, ROOT, temporaryFolder } from '../support/program.ts'
import { whySkipped } from './live-runs.ts'

const skipped = whySkipped()
const [PASSWORD, OTHER] = ['s3cret-with%odd/chars', 'other-pass']
const PRODUCE = join(ROOT, 'pipelines/produce.ts')

describe.skipIf(skipped !== undefined)('Kafka with TLS and logins', () => {
  const servers = new OwnServers()
  let kafka!: KafkaCluster
  beforeAll(async () => {
    kafka = await servers.kafka({
      logins: [
        { user: 'flow', password: PASSWORD },
        { user: 'nobody', password: OTHER },
      ],
    })
    const connection = new KafkaConnection(options({ mechanism: 'plain', username: 'flow', password: PASSWORD }))
    await connection.createTopic('clicks', { numPartitions: 2 })
    await connection.close()
  }, 300_000)
  afterAll(() => servers.stop(), 60_000)

  const options = (sasl: NonNullable<KafkaConnectionOptions['sasl']>): KafkaConnectionOptions => ({
    brokers: [kafka.url],
    ssl: { ca: [readFileSync(kafka.certificate, 'utf8')] },
    sasl,
  })
  const url = (user: string, more = ''): string => `kafka://${user}@${kafka.url}/clicks?ssl=true${more}`
  const run = (args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> =>
    program([PRODUCE, 'run', ...args], { env: { NODE_EXTRA_CA_CERTS: kafka.certificate, ...env } })

  it('writes and reads with PLAIN and with SCRAM, the password from the environment or a file', async () => {
    const file = join(temporaryFolder(), 'password')
    writeFileSync(file, `${PASSWORD}\n`)
    const written = await run(['--from', 'clicks:?count=300', '--to', url('flow')], {
      MILLRACE_KAFKA_PASSWORD: PASSWORD,
    })
    expect(written.code, written.stderr).toBe(0)
    const scram = url('flow', '&mechanism=scram-sha-256')
    const read = await run(['--from', scram, '--until-end', '--no-checkpoint', '--to', '-', '--format', 'lines'], {
      MILLRACE_KAFKA_PASSWORD_FILE: file,
    })
    expect(read.code, read.stderr).toBe(0)
    expect(read.stdout.trimEnd().split('\n').length).toBe(300)
    for (const { stdout, stderr } of [written, read]) expect(stdout + stderr).not.toContain(PASSWORD)
  })

  it('logs in with a token (OAUTHBEARER)', async () => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const now = Math.floor(Date.now() / 1000)
    const value = `${part({ alg: 'none' })}.${part({ sub: 'flow', iat: now, exp: now + 600 })}.`
    const connection = new KafkaConnection(
      options({ mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value }) }),
    )
    const offsets = await connection.offsets('clicks')
    expect([...offsets.values()].reduce((sum, { high }) => sum + high, 0)).toBeGreaterThanOrEqual(300)
    await connection.close()
  })

  it('tells a wrong password, a user that may not, a certificate that nobody trusts, and never a password', async () => {
    const failing = async (args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> => {
      const out = await run(args, env)
      expect(out.code, out.stderr).toBe(1)
      expect(out.stderr).not.toMatch(/wrong-one|s3cret|other-pass/)
      return out.stderr
    }
    const from = (user: string): string[] => ['--from', url(user), '--until-end', '--no-checkpoint', '--to', '-']
    expect(await failing(from('flow'), { MILLRACE_KAFKA_PASSWORD: 'wrong-one' })).toMatch(
      /Kafka at .* refuses the login: .* \(MLR_ERR_SERVER_LOGIN\)/,
    )
    expect(await failing(from('flow'), {})).toContain('set MILLRACE_KAFKA_PASSWORD, or MILLRACE_KAFKA_PASSWORD_FILE')
    expect(await failing(from('nobody'), { MILLRACE_KAFKA_PASSWORD: OTHER })).toMatch(
      /MLR_ERR_(SERVER_LOGIN|INPUT_MISSING)/,
    )
    expect(
      await failing(['--from', 'clicks:?count=3', '--to', url('nobody')], { MILLRACE_KAFKA_PASSWORD: OTHER }),
    ).toMatch(/MLR_ERR_(SERVER_LOGIN|INPUT_MISSING|OUTPUT_WRITE)/)
    const untrusted = { MILLRACE_KAFKA_PASSWORD: PASSWORD, NODE_EXTRA_CA_CERTS: '' }
    expect(await failing(from('flow'), untrusted)).toMatch(/self-signed certificate.*MLR_ERR_SERVER_UNREACHABLE/)
  }, 120_000)
})
