import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { hdfs } from 'millrace'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HadoopCluster, OwnServers } from '../../services/index.ts'
import { HdfsConnection } from '../../src/connections/hdfs.ts'
import { clickLines } from '../../src/sources/clicks.ts'
import { type Ended, program, ROOT, temporaryFolder } from '../support/program.ts'
import { whySkipped } from './live-runs.ts'

const skipped = whySkipped()

/** The other ways in: a gateway that does the two steps itself, TLS, and a token instead of a name. */
describe.skipIf(skipped !== undefined)('HDFS by its other doors', () => {
  const servers = new OwnServers()
  let cluster!: HadoopCluster
  let nameNode = ''
  let gateway = ''
  let direct!: HdfsConnection
  beforeAll(async () => {
    cluster = await servers.hadoop({ tls: true })
    gateway = await cluster.startHttpFs()
    nameNode = cluster.url.replace('hdfs://', '')
    direct = new HdfsConnection({ nameNodes: [nameNode] })
    await direct.makeFolder('/open')
  }, 300_000)
  afterAll(() => servers.stop(), 60_000)

  const archive = (
    to: string,
    input: string,
    env: NodeJS.ProcessEnv = {},
    checkpoint = to.replace('clicks.ndjson', 'checkpoints'),
  ): Promise<Ended> => {
    const ends = ['--from', input, '--to', to, '--checkpoint', checkpoint]
    const args = ['run', ...ends, '--format', 'lines', '--rotate', '300', '--tick', '20ms']
    return program([join(ROOT, 'pipelines/archive.ts'), ...args], { env: { MILLRACE_WEBHDFS: '127.0.0.1:9', ...env } })
  }
  const clicks = (count: number): string => Array.from({ length: count }, clickLines({ seed: 3, users: 50 })).join('')
  /** Killed in the middle, grown and started again: what the archive holds is the input, once. */
  const archiveIsWhole = async (
    to: (path: string) => string,
    folder: string,
    env: NodeJS.ProcessEnv,
  ): Promise<void> => {
    const input = join(temporaryFolder(), 'in.ndjson')
    const lines = clicks(2000)
    writeFileSync(input, lines.slice(0, lines.length / 2))
    const target = to(`${folder}/clicks.ndjson`)
    const killed = await archive(target, input, { MILLRACE_FAULT: 'between files@2:SIGKILL', ...env })
    expect(killed.signal, killed.stderr).toBe('SIGKILL')
    writeFileSync(input, lines)
    const ended = await archive(target, input, env)
    expect(ended.code, ended.stderr).toBe(0)
    // It is read by the same door.
    const read = ['run', '--from', to(folder), '--to', '-', '--format', 'lines', '--no-checkpoint']
    const all = await program([join(ROOT, 'pipelines/archive.ts'), ...read], { env })
    expect(all.stdout, all.stderr).toBe(lines)
  }

  it('HttpFS: reads, writes, lists and renames as a namenode does', async () => {
    const door = new HdfsConnection({ nameNodes: [gateway] })
    const names = ['a b', 'ü#?;,+=&', '50%41', '😀'].sort()
    for (const name of names) await door.create(`/door/${name}`, Buffer.from(`in ${name}`))
    expect((await door.list('/door'))?.map(({ name }) => name).sort()).toEqual(names)
    for (const name of names) expect(String(await door.readWhole(`/door/${name}`))).toBe(`in ${name}`)
    const part: Buffer[] = []
    for await (const chunk of door.read('/door/a b', { offset: 3, length: 2 })) part.push(chunk)
    expect(Buffer.concat(part).toString()).toBe('a ')
    await door.append('/door/a b', Buffer.from('!'))
    expect(String(await door.readWhole('/door/a b'))).toBe('in a b!')
    expect(await door.rename('/door/a b', '/door/50%41', 'never')).toBe('exists')
    expect(await door.rename('/door/none', '/door/new', 'never')).toBe('missing')
    expect(await door.rename('/door/a b', '/door/new', 'never')).toBe('done')
    await expect(door.rename('/door/new', '/door/50%41', 'replace')).rejects.toThrow(
      "can't replace /door/50%41 by a rename, as HttpFS can't: use a namenode's own address",
    )
    await door.makeFolder('/door/folder')
    expect(await door.rename('/door/new', '/door/folder', 'never')).toBe('exists')
    expect(await door.list('/door/folder')).toEqual([])
    await door.remove('/door')
    expect(await door.stat('/door')).toBeUndefined()
    const large = Buffer.alloc(20_000_000, 'large file ')
    await door.create('/large', large)
    expect((await door.readWhole('/large'))?.equals(large)).toBe(true)
  })

  it('HttpFS: reads and writes files, holds checkpoints, and says at the start what it can not do', async () => {
    const input = join(temporaryFolder(), 'in.ndjson')
    const lines = clicks(1000)
    writeFileSync(input, lines)
    const to = (path: string): string => `hdfs://${gateway}/by-gateway/${path}`
    const run = (...args: string[]) =>
      program([join(ROOT, 'pipelines/produce.ts'), 'run', '--format', 'lines', ...args])
    const written = await run('--from', input, '--to', to('in.ndjson.gz'))
    expect(written.code, written.stderr).toBe(0)
    const out = join(temporaryFolder(), 'out.ndjson')
    const read = await run('--from', to('in.ndjson.gz'), '--to', out, '--checkpoint', to('checkpoints'))
    expect(read.code, read.stderr).toBe(0)
    const names = readdirSync(dirname(out)).filter((name) => !name.startsWith('.'))
    expect(names.map((name) => readFileSync(join(dirname(out), name), 'utf8')).join('')).toBe(lines)
    const again = await run('--from', to('in.ndjson.gz'), '--to', out, '--checkpoint', to('checkpoints'))
    expect(again.stderr).toContain('read 0 records')
    for (const refused of [
      await archive(to('clicks.ndjson'), input),
      await run('--from', input, '--to', to('in.ndjson.gz')),
    ])
      expect([refused.code, refused.stderr]).toEqual([
        1,
        expect.stringMatching(
          /can't replace \/by-gateway\/\S+ by a rename, as HttpFS can't: use a namenode's own address/,
        ),
      ])
    expect((await direct.list('/by-gateway'))?.map(({ name }) => name)).toEqual(['checkpoints', 'in.ndjson.gz'])
  })

  it('TLS: an archive, killed and started again, is whole; a certificate that nobody trusts is told', async () => {
    const address = `127.0.0.1:${cluster.port('nameNodeHttps')}`
    const to = (path: string): string => `hdfs://${address}${path}?tls=true`
    await archiveIsWhole(to, '/by-tls', { NODE_EXTRA_CA_CERTS: cluster.certificate })
    expect(hdfs('/a/b', { tls: true, user: 'u' }).sink.checkpointUrl).toBe('hdfs:///a/.millrace?user=u&tls=true')
    const input = join(temporaryFolder(), 'in.ndjson')
    writeFileSync(input, clicks(3))
    const untrusted = await archive(to('/by-tls/more.ndjson'), input)
    expect([untrusted.code, untrusted.stderr]).toEqual([
      1,
      expect.stringMatching(/self-signed certificate.*MLR_ERR_SERVER_UNREACHABLE/),
    ])
  })

  it('a delegation token says who one is, where everybody must be somebody; a wrong one is told, and none is ever shown', async () => {
    const secured = await servers.hadoop({ kerberos: ['alice'] })
    const address = `127.0.0.1:${secured.port('nameNodeHttps')}`
    await secured.files('hdfs/localhost', '-mkdir', '/alice')
    await secured.files('hdfs/localhost', '-chown', 'alice', '/alice')
    const token = await secured.token('alice')
    const file = join(temporaryFolder(), 'token')
    writeFileSync(file, `${token}\n`)
    const env = { MILLRACE_HDFS_TOKEN_FILE: file, NODE_EXTRA_CA_CERTS: secured.certificate }
    const to = (path: string): string => `hdfs://${address}${path}?tls=true`
    await archiveIsWhole(to, '/alice/clicks', env)
    const input = join(temporaryFolder(), 'in.ndjson')
    writeFileSync(input, clicks(3))
    const told = async (path: string, more: NodeJS.ProcessEnv): Promise<string> => {
      const out = await archive(to(path), input, { ...env, ...more }, temporaryFolder())
      expect(out.code, out.stderr).toBe(1)
      expect(out.stderr).not.toContain(token.slice(0, 20))
      return out.stderr
    }
    expect(await told('/not-hers/x.ndjson', {})).toMatch(
      /does not allow it: Permission denied: user=alice.*MLR_ERR_SERVER_LOGIN/,
    )
    // The length of the identifier, the identifier, the length of the password, the password.
    const bytes = Buffer.from(token, 'base64url')
    const at = 1 + bytes.readUInt8(0) + 1
    bytes[at] = bytes.readUInt8(at) ^ 1
    expect(await told('/alice/x.ndjson', { MILLRACE_HDFS_TOKEN: bytes.toString('base64url') })).toMatch(
      /refuses the delegation token: .*MLR_ERR_SERVER_LOGIN/,
    )
    expect(await told('/alice/x.ndjson', { MILLRACE_HDFS_TOKEN: 'no token at all' })).toMatch(/MLR_ERR_/)
    expect(await told('/alice/x.ndjson', { MILLRACE_HDFS_TOKEN_FILE: undefined })).toMatch(
      /refuses the login: .*set MILLRACE_HDFS_TOKEN.*MLR_ERR_SERVER_LOGIN/,
    )
  }, 180_000)
})
