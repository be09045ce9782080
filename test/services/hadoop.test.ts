import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HadoopCluster, OwnServers } from '../../services/index.ts'
import { HdfsConnection } from '../../src/connections/hdfs.ts'
import { clickLines } from '../../src/sources/clicks.ts'
import { type Ended, ended, program, ROOT, start, temporaryFolder } from '../support/program.ts'
import { whySkipped } from './live-runs.ts'

const skipped = whySkipped()
const CLI = join(ROOT, 'src/cli/millrace.ts')
const PLAN = join(ROOT, 'test/services/hadoop-plan.ts')

function clicks(count: number, seed = 1): string {
  const next = clickLines({ seed, users: 100, malformed: 0.01 })
  return Array.from({ length: count }, next).join('')
}

const sorted = (text: string): string[] => text.split('\n').slice(0, -1).sort()

describe.skipIf(skipped !== undefined)('jobs of Hadoop', () => {
  const servers = new OwnServers()
  let cluster!: HadoopCluster
  let hdfs!: HdfsConnection
  beforeAll(async () => {
    cluster = await servers.hadoop({ yarn: true })
    hdfs = new HdfsConnection({ nameNodes: [cluster.url.replace('hdfs://', '')] })
    await hdfs.create('/clicks/a.ndjson', Buffer.from(clicks(3000)))
    await hdfs.create('/clicks/b.ndjson.gz', gzipSync(clicks(2000, 2)))
  }, 300_000)
  afterAll(() => servers.stop(), 60_000)

  const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
    program(args, { env: { ...cluster.environment, ...env } })
  const hadoop = (pipeline: string, ...args: readonly string[]): Promise<Ended> =>
    run([join(ROOT, `pipelines/${pipeline}.ts`), 'hadoop', ...args])
  /** By part, what a job has written. */
  const parts = async (folder: string): Promise<string[]> => {
    const names = ((await hdfs.list(folder)) ?? []).map(({ name }) => name)
    expect(names).toContain('_SUCCESS')
    return Promise.all(
      names
        .filter((name) => name.startsWith('part-'))
        .map(async (name) => String(await hdfs.readWhole(`${folder}/${name}`))),
    )
  }
  const isSorted = (text: string): boolean => {
    const keys = text.split('\n').map((line) => Buffer.from(line))
    return keys.slice(1, -1).every((key, i) => Buffer.compare(keys[i] as Buffer, key) <= 0)
  }
  const streamed = async (pipeline: string, from: string): Promise<string[]> => {
    const out = await run([join(ROOT, `pipelines/${pipeline}.ts`), 'run', '--quiet', '--from', from, '--to', '-'])
    expect(out.code, out.stderr).toBe(0)
    return sorted(out.stdout)
  }

  describe("with Hadoop's own local runner", () => {
    it('gives the bytes of the stream, with one to four reducers', async () => {
      const expected = await streamed('user-actions', 'hdfs:///clicks')
      for (const reducers of [1, 2, 3, 4]) {
        const output = `/local-${reducers}`
        const ends = ['--local', '--input', '/clicks', '--output', output]
        const out = await hadoop('user-actions', ...ends, '--reducers', String(reducers))
        expect(out.code, out.stderr).toBe(0)
        const written = await parts(output)
        expect(written.length).toBe(reducers)
        expect(sorted(written.join(''))).toEqual(expected)
        expect(out.stderr).toMatch(/read 5,000 records, skipped \d+, wrote \d+ in \d parts to \/local-\d/)
      }
    })

    it('needs no HDFS where all is on this machine, and no configuration', async () => {
      const folder = temporaryFolder()
      writeFileSync(join(folder, 'in.ndjson'), clicks(500))
      const input = `file:${join(folder, '*.ndjson')}`
      const ends = ['--local', '--input', input, '--output', `file:${join(folder, 'out')}`]
      const out = await run([join(ROOT, 'pipelines/user-actions.ts'), 'hadoop', ...ends], {
        MILLRACE_WEBHDFS: '127.0.0.1:9',
        HADOOP_CONF_DIR: join(folder, 'none'),
      })
      expect(out.code, out.stderr).toBe(0)
      expect(out.stderr).toContain('read 500 records')
      const names = readdirSync(join(folder, 'out')).filter((name) => name.startsWith('part-'))
      const written = names.map((name) => readFileSync(join(folder, 'out', name), 'utf8')).join('')
      expect(sorted(written)).toEqual(await streamed('user-actions', join(folder, 'in.ndjson')))
    })

    it('runs a job for each cut: an aggregate over a table, and records in the order of their time', async () => {
      await hdfs.create('/log/access.log.gz', readFileSync(join(ROOT, 'data/apache_access.log.gz')))
      for (const [pipeline, input] of [
        ['top-pages', '/log'],
        ['bots', '/clicks/a.ndjson'],
      ] as const) {
        const output = `/cuts-${pipeline}`
        const out = await hadoop(pipeline, '--local', '--input', input, '--output', output, '--reducers', '2')
        expect(out.code, out.stderr).toBe(0)
        const written = await parts(output)
        expect(sorted(written.join(''))).toEqual(await streamed(pipeline, `hdfs://${input}`))
        expect(written.join('').length, pipeline).toBeGreaterThan(100)
        expect((await hdfs.list('/'))?.map(({ name }) => name)).not.toContain(`cuts-${pipeline}.step-1`)
      }
    })

    it('tells two sources apart by the paths of their files', async () => {
      await hdfs.create('/two/a/x', Buffer.from('p\nq\np\n'))
      await hdfs.create('/two/b/x', Buffer.from('p\nr\n'))
      const inputs = ['--input', 'ones=/two/a', '--input', 'hundreds=/two/b']
      const ends = [...inputs, '--output', '/two/out']
      const out = await run([CLI, 'hadoop', PLAN, '--pipeline', 'both', '--local', ...ends])
      expect(out.code, out.stderr).toBe(0)
      expect((await parts('/two/out')).join('')).toBe('p\t100\np\t2\nq\t1\nr\t100\n')
    })

    it('submits with the launcher where there is one', async () => {
      const home = temporaryFolder()
      const tools = join(home, 'share/hadoop/tools/lib')
      mkdirSync(tools, { recursive: true })
      mkdirSync(join(home, 'bin'))
      const jar = readdirSync(cluster.lib).find((name) => name.startsWith('hadoop-streaming')) as string
      writeFileSync(join(tools, jar), readFileSync(join(cluster.lib, jar)))
      const { MILLRACE_HADOOP_JARS: jars, ...others } = cluster.environment
      // What the launcher does for `jar`, but for its hundred variables.
      const opens = ['java.lang', 'java.util', 'java.io', 'java.net'].map(
        (name) => `--add-opens=java.base/${name}=ALL-UNNAMED`,
      )
      writeFileSync(
        join(home, 'bin/hadoop'),
        `#!/bin/bash\nset -e\n[ "$1" = jar ]; shift\nexec java ${opens.join(' ')} -cp "$HADOOP_CONF_DIR:${jars}/*:$1" org.apache.hadoop.util.RunJar "$@"\n`,
      )
      chmodSync(join(home, 'bin/hadoop'), 0o755)
      const ends = ['--local', '--input', '/clicks', '--output', '/launched']
      const out = await program([join(ROOT, 'pipelines/user-actions.ts'), 'hadoop', ...ends], {
        env: { ...others, HADOOP_HOME: home },
      })
      expect(out.code, out.stderr).toBe(0)
      expect(sorted((await parts('/launched')).join(''))).toEqual(await streamed('user-actions', 'hdfs:///clicks'))
    })

    it('tells what is wrong before a Java program is started, and what a task has said', async () => {
      await hdfs.makeFolder('/there')
      const told = async (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> => {
        const out = await run([CLI, 'hadoop', PLAN, '--pipeline', 'failing', ...args], env)
        expect(out.code).not.toBe(0)
        return out.stderr
      }
      const ends = ['--local', '--input', '/clicks', '--output', '/never']
      expect(await told(['--local', '--input', '/none', '--output', '/never'])).toContain('there is nothing at hdfs://')
      expect(await told(['--local', '--input', '/clicks', '--output', '/there'])).toMatch(
        /the output hdfs:\/\/.*\/there exists — remove it or name another/,
      )
      expect(await told(['--local', '--input', '/clicks'])).toContain('hadoop needs --output FOLDER')
      expect(await told(['--input', 'file:/tmp/x', '--output', '/never'])).toContain('use --local')
      expect(await told(ends.slice(1), { MILLRACE_YARN: 'http://127.0.0.1:9' })).toMatch(
        /YARN's resource manager does not answer at http:\/\/127\.0\.0\.1:9: .*is it running/,
      )
      const nowhere = { MILLRACE_HADOOP_JARS: undefined, HADOOP_HOME: undefined, PATH: dirname(process.execPath) }
      expect(await told(ends, nowhere)).toContain('there is no Hadoop to submit with')
      const failed = await told(ends)
      expect(failed).toContain('the operator does not like')
      expect(failed.split('\n').length).toBeLessThan(12)
      // It leaves nothing that would refuse the next try.
      expect(await hdfs.stat('/never')).toBe(undefined)
    })
  })

  describe('on YARN', () => {
    it('gives the bytes of the stream, with speculative execution, a node that is sent along, and progress', async () => {
      const speculative = ['map', 'reduce'].flatMap((role) => ['-D', `mapreduce.${role}.speculative=true`])
      const ends = ['--input', '/clicks', '--output', '/on-yarn', '--reducers', '2']
      const out = await hadoop('user-actions', ...ends, '--node', 'ship', ...speculative)
      expect(out.code, out.stderr).toBe(0)
      expect(out.stderr).toMatch(/shipping node-v\d+\.\d+\.\d+-linux-\w+\.tgz to HDFS, once/)
      expect(out.stderr).toMatch(/job_\d+_\d+ is submitted/)
      expect(out.stderr).toMatch(/read 5,000 records, skipped \d+, wrote \d+ in 2 parts/)
      const written = await parts('/on-yarn')
      expect(written.every(isSorted)).toBe(true)
      expect(sorted(written.join(''))).toEqual(await streamed('user-actions', 'hdfs:///clicks'))
    }, 300_000)

    it('gives the same where each mapper is killed once', async () => {
      const ends = ['--input', '/clicks', '--output', '/fragile']
      const out = await run([CLI, 'hadoop', PLAN, '--pipeline', 'fragile', ...ends])
      expect(out.code, out.stderr).toBe(0)
      const local = await run([CLI, 'run', PLAN, '--pipeline', 'fragile', '--quiet', '--from', 'hdfs:///clicks'])
      expect(sorted((await parts('/fragile')).join(''))).toEqual(sorted(local.stdout))
    }, 300_000)

    it('shows what the failing task has said, a worker that has no Node, and kills the job on Ctrl-C', async () => {
      const ends = ['--input', '/clicks', '--output', '/never']
      const once = ['-D', 'mapreduce.map.maxattempts=1']
      const failing = await run([CLI, 'hadoop', PLAN, '--pipeline', 'failing', ...ends, ...once])
      expect([failing.code, failing.stderr]).toEqual([1, expect.stringContaining('the operator does not like')])
      const nodeless = await hadoop('user-actions', ...ends, ...once, '--node', '/no/such/node')
      expect([nodeless.code, nodeless.stderr]).toEqual([
        1,
        expect.stringContaining("can't start /no/such/node — submit with --node ship"),
      ])

      const killed = start([join(ROOT, 'pipelines/user-actions.ts'), 'hadoop', ...ends], { env: cluster.environment })
      const out = ended(killed)
      let said = ''
      killed.stderr.on('data', (chunk: Buffer) => {
        said += chunk
      })
      while (!said.includes('is submitted')) await sleep(50)
      killed.kill('SIGINT')
      expect([(await out).code, (await out).stderr]).toEqual([1, expect.stringContaining('stopped: the job is killed')])
      const apps = await (await fetch(`${cluster.yarnUrl}/ws/v1/cluster/apps?states=RUNNING,ACCEPTED`)).json()
      expect((apps as { apps: unknown }).apps).toEqual({})
      expect(await hdfs.stat('/never')).toBe(undefined)
    }, 300_000)

    it('gives the same where the namenode, and then a datanode, are killed while it works', async () => {
      await hdfs.create('/many/a.ndjson', Buffer.from(clicks(20_000, 5)))
      const ends = ['--input', '/many', '--output', '/survived']
      const job = start([CLI, 'hadoop', PLAN, '--pipeline', 'slow', ...ends, '-D', 'mapreduce.job.maps=2'], {
        env: cluster.environment,
      })
      const out = ended(job)
      const running = async (): Promise<boolean> => {
        const response = await fetch(`${cluster.yarnUrl}/ws/v1/cluster/metrics`)
        const { clusterMetrics } = (await response.json()) as { clusterMetrics: { containersAllocated: number } }
        return clusterMetrics.containersAllocated > 1
      }
      while (!(await running()) && job.exitCode === null) await sleep(100)
      await cluster.kill('namenode')
      await sleep(500)
      await cluster.startDaemon('namenode')
      await cluster.untilHdfsWorks()
      await cluster.kill('datanode-1')
      await cluster.startDaemon('datanode-1')
      const finished = await out
      expect(finished.code, finished.stderr).toBe(0)
      expect(finished.stderr).toContain('read 20,000 records')
      const local = await run([CLI, 'run', PLAN, '--pipeline', 'slow', '--quiet', '--from', 'hdfs:///many'])
      expect(sorted((await parts('/survived')).join(''))).toEqual(sorted(local.stdout))
    }, 300_000)

    it('says so when YARN has no room for a job', async () => {
      const ends = (output: string): string[] => ['--input', '/clicks', '--output', output]
      const module = join(ROOT, 'pipelines/user-actions.ts')
      // Its master takes all that there is, so its own mappers and every other job wait.
      const greedy = start([module, 'hadoop', ...ends('/greedy'), '-D', 'yarn.app.mapreduce.am.resource.mb=4096'], {
        env: cluster.environment,
      })
      const greedyEnded = ended(greedy)
      const taken = async (): Promise<number> => {
        const response = await fetch(`${cluster.yarnUrl}/ws/v1/cluster/metrics`)
        return ((await response.json()) as { clusterMetrics: { allocatedMB: number } }).clusterMetrics.allocatedMB
      }
      while ((await taken()) < 4096) await sleep(200)
      const waiting = start([module, 'hadoop', ...ends('/waiting')], { env: cluster.environment })
      const waitingEnded = ended(waiting)
      let said = ''
      waiting.stderr.on('data', (chunk: Buffer) => {
        said += chunk
      })
      for (let i = 0; i < 300 && !said.includes('YARN has no room'); i++) await sleep(100)
      greedy.kill('SIGINT')
      waiting.kill('SIGINT')
      expect((await waitingEnded).stderr).toContain('YARN has no room for the job yet, so it waits: ')
      expect((await greedyEnded).code).toBe(1)
    }, 300_000)
  })

  describe('from history to live', () => {
    const make = async (): Promise<{ folder: string; input: string; archive: string; env: NodeJS.ProcessEnv }> => {
      const folder = temporaryFolder()
      const input = join(folder, 'in.ndjson')
      const archive = `/archive-${folder.slice(-6).replace(/[^A-Za-z0-9]/g, '-')}`
      writeFileSync(input, clicks(3000, 3))
      const ends = [
        '--from',
        input,
        '--to',
        `hdfs://${archive}/clicks.ndjson`,
        '--checkpoint',
        join(folder, 'ck-archive'),
      ]
      const rotate = ['--format', 'lines', '--rotate', '400', '--quiet']
      const out = await run([join(ROOT, 'pipelines/archive.ts'), 'run', ...ends, ...rotate])
      expect(out.code, out.stderr).toBe(0)
      return { folder, input, archive, env: { IN: input, DATABASE: join(folder, 'out.sqlite') } }
    }
    const history = ({ archive, folder, env }: Awaited<ReturnType<typeof make>>, ...more: string[]): Promise<Ended> => {
      const ends = ['--input', archive, '--checkpoint', join(folder, 'ck')]
      return run([CLI, 'hadoop', PLAN, '--pipeline', 'live', '--local', ...ends, ...more], env)
    }
    const stream = ({ folder, env }: Awaited<ReturnType<typeof make>>): Promise<Ended> =>
      run([CLI, 'run', PLAN, '--pipeline', 'live', '--checkpoint', join(folder, 'ck')], env)
    const rows = (path: string): string[] => {
      const database = new DatabaseSync(path)
      const all = database.prepare('SELECT user, n FROM users').all() as { user: string; n: number }[]
      database.close()
      return all.map(({ user, n }) => `${user} ${n}`).sort()
    }
    const truth = async ({ folder, input }: Awaited<ReturnType<typeof make>>): Promise<string[]> => {
      const env = { IN: input, DATABASE: join(folder, `truth-${Date.now()}.sqlite`) }
      const out = await run([CLI, 'run', PLAN, '--pipeline', 'live', '--quiet'], env)
      expect(out.code, out.stderr).toBe(0)
      return rows(env.DATABASE)
    }

    it("makes a job's accumulators the first checkpoint, and the stream goes on where the archive ends", async () => {
      const one = await make()
      appendFileSync(one.input, clicks(500, 4))
      const out = await history(one, '--reducers', '2')
      expect(out.code, out.stderr).toBe(0)
      expect(out.stderr).toContain('rows of history are in')
      expect(rows(join(one.folder, 'out.sqlite')).length).toBeGreaterThan(20)
      const live = await stream(one)
      expect(live.code, live.stderr).toBe(0)
      expect(live.stderr).toContain('read 500 records')
      expect(rows(join(one.folder, 'out.sqlite'))).toEqual(await truth(one))

      // Where there are checkpoints already it takes their place only if it is told to; rows that the new state has not are gone.
      const again = await history(one)
      expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('has checkpoints of live already')])
      expect(again.stderr).not.toContain('rows of history')
      const fresh = await history(one, '--fresh')
      expect(fresh.code, fresh.stderr).toBe(0)
      expect((await stream(one)).stderr).toContain('read 500 records')
      expect(rows(join(one.folder, 'out.sqlite'))).toEqual(await truth(one))
      // Nothing of the job is left.
      expect((await hdfs.list(one.archive))?.filter(({ name }) => name.startsWith('_'))).toEqual([])
    }, 300_000)

    it('cut off before its checkpoint: no stream begins without it, and it may be run again', async () => {
      const one = await make()
      const ends = ['--input', one.archive, '--checkpoint', join(one.folder, 'ck')]
      const killed = await run([CLI, 'hadoop', PLAN, '--pipeline', 'live', '--local', ...ends], {
        ...one.env,
        MILLRACE_FAULT: 'after takeover@1:SIGKILL',
      })
      expect(killed.signal, killed.stderr).toBe('SIGKILL')
      const early = await stream(one)
      expect([early.code, early.stderr]).toEqual([
        1,
        expect.stringMatching(
          /waits for a history that has not come: where hadoop --checkpoint was cut off run it again/,
        ),
      ])
      const again = await history(one)
      expect(again.code, again.stderr).toBe(0)
      expect((await stream(one)).stderr).toContain('read 0 records')
      expect(rows(join(one.folder, 'out.sqlite'))).toEqual(await truth(one))
    }, 300_000)

    it('refuses an archive with a gap, an overlap, a stranger, or none', async () => {
      const one = await make()
      const files = ((await hdfs.list(one.archive)) ?? [])
        .map(({ name }) => name)
        .filter((name) => !name.startsWith('.'))
      expect(files.length).toBeGreaterThan(5)
      const [, second = '', third = ''] = files
      const refused = async (): Promise<string> => {
        const out = await history(one)
        expect(out.code).toBe(1)
        return out.stderr
      }
      await hdfs.rename(`${one.archive}/${second}`, `/aside-${second}`, 'never')
      expect(await refused()).toMatch(
        /the archive is not whole: records \d+ to \d+ of .* are in no file: there is a gap before/,
      )
      await hdfs.rename(`/aside-${second}`, `${one.archive}/${second}`, 'never')
      const longer = third.replace(/-\d{12}\./, '-000000999999.')
      await hdfs.create(`${one.archive}/${longer}`, Buffer.from('x\n'))
      expect(await refused()).toContain('overlap')
      await hdfs.remove(`${one.archive}/${longer}`)
      await hdfs.create(`${one.archive}/clicks.other.000000000000-000000000005.ndjson`, Buffer.from('x\n'))
      expect(await refused()).toContain('belongs to no source partition')
      const none = await run([
        CLI,
        'hadoop',
        PLAN,
        '--pipeline',
        'live',
        '--local',
        '--input',
        '/clicks',
        '--checkpoint',
        one.folder,
      ])
      expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('holds 0 archives, and one is needed')])
    }, 300_000)
  })

  it('its daemons are those that a stop takes away', async () => {
    const own = new OwnServers()
    const small = await own.hadoop()
    const pids = [...small.daemons.values()].map(({ record }) => record.pid)
    await own.stop()
    expect(pids.length).toBe(2)
    for (const pid of pids)
      expect(existsSync(`/proc/${pid}`) && execFileSync('cat', [`/proc/${pid}/stat`]).includes(' R ')).toBe(false)
  })
})
