import { readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { Random, storeContract } from 'millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HadoopCluster, OwnServers } from '../../services/index.ts'
import { openHdfsStore } from '../../src/checkpoints/hdfs.ts'
import { HdfsConnection } from '../../src/connections/hdfs.ts'
import { hdfsPlace } from '../../src/sinks/hdfs-place.ts'
import { findHdfsFiles, openHdfsSource } from '../../src/sources/hdfs.ts'
import type { SourceOptions } from '../../src/sources/source.ts'
import { ended, program, shell, temporaryFolder } from '../support/program.ts'
import { BadNetwork } from './bad-network.ts'
import { HdfsCase } from './hdfs-runs.ts'
import { whySkipped } from './live-runs.ts'

/** Checkpoints come as often as asked, and nothing is killed. */
const OFTEN = { MILLRACE_FAULT: 'none@1:SIGKILL' }
const skipped = whySkipped()

describe.skipIf(skipped !== undefined)('HDFS', () => {
  const servers = new OwnServers()
  let cluster!: HadoopCluster
  let nameNodes!: readonly string[]
  let hdfs!: HdfsConnection
  beforeAll(async () => {
    cluster = await servers.hadoop()
    nameNodes = [cluster.url.replace('hdfs://', '')]
    hdfs = new HdfsConnection({ nameNodes })
  }, 300_000)
  afterAll(() => servers.stop(), 60_000)

  const make = (): HdfsCase => new HdfsCase(cluster, temporaryFolder())
  const finish = async (one: HdfsCase, why: string): Promise<void> => {
    const out = await one.run()
    expect(out.code, `${why}: ${out.stderr}`).toBe(0)
    expect(await one.held(), why).toEqual(await one.expected())
    expect(await one.temporaries(), why).toEqual([])
  }
  const linesOf = async (path: string, options: Partial<SourceOptions> = {}, by = nameNodes): Promise<string[]> => {
    const found: string[] = []
    for await (const batch of await openHdfsSource(path, { nameNodes: by }, { name: 'hdfs', ...options })) {
      if (batch.kind !== 'lines') continue
      batch.eachLine(
        (line) => void found.push(line),
        (error) => {
          throw error
        },
      )
    }
    return found
  }

  describe('the connection', () => {
    it('takes names with every character that HDFS takes', async () => {
      const names = ['50%41', 'a b', 'ü#?;,+=&', '{x}*[y]', '\\', '😀', 'tab\there'].sort()
      for (const name of names) {
        await hdfs.makeFolder(`/names/${name}`)
        await hdfs.create(`/names/${name}/${name}`, Buffer.from(name))
        expect(String(await hdfs.readWhole(`/names/${name}/${name}`))).toBe(name)
      }
      const listed = (await hdfs.list('/names'))?.map(({ name }) => name)
      expect(listed).toEqual(
        names
          .map((name) => Buffer.from(name))
          .sort(Buffer.compare)
          .map(String),
      )
      await hdfs.remove('/names')
      expect([await hdfs.stat('/names'), await hdfs.list('/names')]).toEqual([undefined, undefined])
    })

    it('reads from any byte on, to the end and beyond, and an empty file', async () => {
      await hdfs.create('/range/a', Buffer.from('0123456789'))
      await hdfs.create('/range/empty', Buffer.alloc(0))
      const read = async (path: string, options?: { offset?: number; length?: number }): Promise<string> => {
        const chunks: Buffer[] = []
        for await (const chunk of hdfs.read(path, options)) chunks.push(chunk)
        return Buffer.concat(chunks).toString()
      }
      expect(await read('/range/a', { offset: 4 })).toBe('456789')
      expect(await read('/range/a', { offset: 2, length: 3 })).toBe('234')
      expect(await read('/range/a', { offset: 10 })).toBe('')
      expect(await read('/range/a', { offset: 8, length: 100 })).toBe('89')
      expect(await read('/range/empty')).toBe('')
      await expect(read('/range/none')).rejects.toMatchObject({ code: 'MLR_ERR_INPUT_MISSING' })
    })

    it('says what a rename did, and never moves into a folder or over a file unasked', async () => {
      await hdfs.create('/ren/a', Buffer.from('a'))
      await hdfs.create('/ren/b', Buffer.from('b'))
      await hdfs.makeFolder('/ren/folder')
      expect(await hdfs.rename('/ren/a', '/ren/b', 'never')).toBe('exists')
      expect(await hdfs.rename('/ren/a', '/ren/folder', 'never')).toBe('exists')
      expect(await hdfs.rename('/ren/none', '/ren/c', 'never')).toBe('missing')
      expect(await hdfs.rename('/ren/a', '/ren/b', 'replace')).toBe('done')
      expect(String(await hdfs.readWhole('/ren/b'))).toBe('a')
      expect(await hdfs.list('/ren/folder')).toEqual([])
    })

    it('tells in one line what is wrong and what to do', async () => {
      const failing = async (options: ConstructorParameters<typeof HdfsConnection>[0]): Promise<string> =>
        new HdfsConnection(options).stat('/').then(
          () => 'no error',
          (error: Error & { code?: string }) => `${error.code} ${error.message}`,
        )
      expect(await failing({ nameNodes: ['127.0.0.1:9'] })).toMatch(
        /^MLR_ERR_SERVER_UNREACHABLE HDFS does not answer at hdfs:\/\/127\.0\.0\.1:9: .*ECONNREFUSED.* — is it running/,
      )
      expect(await failing({ nameNodes: [`127.0.0.1:${cluster.port('nameNode')}`] })).toContain(
        'MLR_ERR_SERVER_UNREACHABLE what answers at',
      )
      const [first] = nameNodes
      expect(await failing({ nameNodes: ['127.0.0.1:9', first as string] })).toBe('no error')
    })
  })

  describe('the store', () => {
    let folders = 0
    const contract = storeContract({
      name: 'hdfs',
      make: async () => {
        const folder = `/store/${++folders}`
        const open = () => openHdfsStore({ nameNodes }, folder)
        return { store: await open(), again: open }
      },
    })
    for (const { title, run } of contract) it(title, run)

    it('removes temporaries that a crash has left', async () => {
      const store = await openHdfsStore({ nameNodes }, '/store/left')
      await hdfs.create('/store/left/.tmp-1', Buffer.from('half'))
      expect(await store.list()).toEqual([])
      await store.removeTemporaries?.()
      expect(await hdfs.list('/store/left')).toEqual([])
    })
  })

  describe('the source', () => {
    it('reads a file, a folder and a glob, packed or not, in the order of the names', async () => {
      await hdfs.create('/src/b.txt', Buffer.from('three\nfour'))
      await hdfs.create('/src/a.txt.gz', gzipSync('one\ntwo\n'))
      await hdfs.create('/src/_SUCCESS', Buffer.alloc(0))
      await hdfs.create('/src/.hidden', Buffer.from('no\n'))
      await hdfs.create('/src/below/c.txt', Buffer.from('not this\n'))
      expect(await linesOf('/src')).toEqual(['one', 'two', 'three', 'four'])
      expect(await linesOf('/src/b.txt')).toEqual(['three', 'four'])
      expect(await linesOf('/s*/{b,z}.t[xy]t')).toEqual(['three', 'four'])
      await expect(linesOf('/nowhere')).rejects.toMatchObject({ code: 'MLR_ERR_INPUT_MISSING' })
      await expect(linesOf('/src/*.none')).rejects.toMatchObject({ code: 'MLR_ERR_INPUT_MISSING' })
      await hdfs.makeFolder('/src/none')
      await expect(linesOf('/src/none')).rejects.toThrow('holds no files to read')
    })

    it('goes on in the middle of a file, knows a file that was renamed, and follows a folder', async () => {
      await hdfs.create('/follow/a', Buffer.from('one\ntwo\n'))
      const [file] = await findHdfsFiles(hdfs, '/follow')
      await hdfs.rename('/follow/a', '/follow/z', 'never')
      const positions = { [file?.identity as string]: { line: 2, offset: 4 } }
      expect(await linesOf('/follow', { positions })).toEqual(['two'])
      const reader = await openHdfsSource('/follow', { nameNodes }, { name: 'hdfs', positions, follow: true })
      const seen: string[] = []
      for await (const batch of reader) {
        if (batch.kind === 'lines')
          batch.eachLine(
            (line) => void seen.push(line),
            () => {},
          )
        if (seen.length === 1) await hdfs.create('/follow/b', Buffer.from('three\nhalf a li'))
        if (seen.length === 2) reader.stop()
      }
      expect(seen).toEqual(['two', 'three'])
    })
  })

  describe('the sink', () => {
    it('writes what the sink of a local disk writes, byte for byte, and goes on where it was', async () => {
      const one = make()
      const out = await one.run()
      expect(out.code, out.stderr).toBe(0)
      expect(out.stderr).toContain(
        `exactly once: file → hdfs, checkpoints in hdfs://${nameNodes[0]}${one.out}/ck/to-hdfs`,
      )
      expect(await one.held()).toEqual(await one.expected())
      one.grow(500)
      const again = await one.run()
      expect(again.stderr).toContain('read 500 records')
      const held = (await one.held()) as Record<string, string>
      const expected = (await one.expected()) as Record<string, string>
      expect(held).toEqual(expected)
      expect(held.clicks?.length).toBeGreaterThan(100_000)
    })

    it('without checkpoints a file is there as a whole or not at all', async () => {
      const folder = temporaryFolder()
      const one = new HdfsCase(cluster, folder)
      const run = (to: string, ...more: string[]) =>
        program(['pipelines/user-actions.ts', 'run', '--from', one.input, '--to', to, ...more], { env: one.env() })
      const local = await run('-')
      const out = await run('hdfs:///plain/counts.tsv')
      expect(out.code, out.stderr).toBe(0)
      expect(String(await hdfs.readWhole('/plain/counts.tsv'))).toBe(local.stdout)
      const onto = await run('hdfs:///plain')
      expect([onto.code, onto.stderr]).toEqual([1, expect.stringContaining('/plain is a folder — name a file')])
      const wrong = await run('hdfs://127.0.0.1:9/x')
      expect([wrong.code, wrong.stderr]).toEqual([
        1,
        expect.stringContaining('HDFS does not answer at hdfs://127.0.0.1:9'),
      ])
      expect((await hdfs.list('/plain'))?.map(({ name }) => name)).toEqual(['counts.tsv'])
    })

    it('adds to a file that a dead writer has left open by writing it anew, and finds what an attempt has left', async () => {
      const place = hdfsPlace(hdfs)
      const path = '/place/.f.1.000001-000000000002.tmp'
      await place.append(path, 0, 'one\n')
      await place.append(path, 4, 'two\n')
      // The answer was lost, or a part of it came through.
      await place.append(path, 4, 'two\n')
      await place.append(path, 4, 'two\nthree\n')
      expect(await place.read(path)).toBe('one\ntwo\nthree\n')
      // What is surely there are 14 bytes, and the file has none: its writer has it open.
      await hdfs.create('/place/held', Buffer.from('one\ntwo\nthree\n'))
      await expect(place.append('/place/nothing', 5, 'x')).rejects.toMatchObject({ code: 'MLR_ERR_INPUT_MISSING' })
      expect(await place.reveal(path, '/place/held')).toBe(false)
      expect(await place.sameBytes(path, '/place/held')).toBe(true)
      expect(await place.reveal(path, '/place/named')).toBe(true)
    })

    it('killed at each point of the protocol, and started again', async () => {
      for (const [point, times] of [
        ['after takeover', 1],
        ['after sinks began', 1],
        ['after prepare', 1],
        ['after parts', 2],
        ['between create and listing', 2],
        ['after commit', 1],
        ['between files', 2],
        ['file written', 2],
        ['between sinks', 2],
        ['after publish', 1],
      ] as const) {
        const one = make()
        const killed = await one.run({ MILLRACE_FAULT: `${point}@${times}:SIGKILL` })
        expect(killed.signal, `${point}: ${killed.stderr}`).toBe('SIGKILL')
        one.grow(200)
        await finish(one, point)
      }
    }, 300_000)

    it('killed at random instants', async () => {
      const one = make()
      const random = new Random(3)
      let kills = 0
      for (let i = 0; i < 30 && kills < 8; i++) {
        one.grow(200)
        const child = one.start(OFTEN)
        const out = ended(child)
        const timer = setTimeout(() => child.kill('SIGKILL'), 200 + random.below(500))
        if ((await out).signal === 'SIGKILL') kills++
        clearTimeout(timer)
      }
      expect(kills).toBeGreaterThan(2)
      await finish(one, 'at random')
    }, 300_000)

    it('a zombie that wakes after another has gone on stops with exit code 3 and has changed nothing', async () => {
      for (const point of ['after commit', 'between files', 'file written', 'after parts']) {
        const one = make()
        const zombie = one.start({ MILLRACE_FAULT: `${point}@1:SIGSTOP` })
        const died = ended(zombie)
        while (!/State:\s+T/.test(readFileSync(`/proc/${zombie.pid}/status`, 'utf8'))) await sleep(10)
        one.grow(200)
        const out = await one.run({}, '--take-over')
        expect(out.code, `${point}: ${out.stderr}`).toBe(0)
        const held = await one.held()
        zombie.kill('SIGCONT')
        const woken = await died
        expect(woken.code, `${point}: ${woken.stderr}`).toBe(3)
        expect(await one.held(), point).toEqual(held)
        expect(held, point).toEqual(await one.expected())
      }
    }, 300_000)

    it('over a network that cuts uploads and downloads and loses answers: every byte once, and nothing is left', async () => {
      for (const seed of [1, 2]) {
        const network = new BadNetwork(nameNodes[0] as string, seed)
        const through = { MILLRACE_WEBHDFS: await network.start(), ...OFTEN }
        ;[network.lost, network.cut] = [8, 30]
        const one = make()
        for (let runs = 0; runs < 3; runs++) {
          const out = await one.run(through)
          expect(out.code, out.stderr).toBe(0)
          one.grow(500)
        }
        const text = 'a line of some length\n'.repeat(50_000)
        await hdfs.create('/bad-network/in', Buffer.from(text))
        const lines = await linesOf('/bad-network', {}, [through.MILLRACE_WEBHDFS])
        expect(lines.length).toBe(50_000)
        const { cutUploads, cutDownloads, lostAnswers } = network.done
        expect(Math.min(cutUploads, cutDownloads, lostAnswers)).toBeGreaterThan(0)
        await network.stop()
        await finish(one, `seed ${seed}: ${JSON.stringify(network.done)}`)
      }
    }, 300_000)

    it('tells a user that may not write, and what is not there', async () => {
      await hdfs.create('/owned/here', Buffer.from('one\n'))
      const one = make()
      const run = (...args: string[]) => program(['pipelines/produce.ts', 'run', ...args], { env: one.env() })
      const [address = ''] = nameNodes
      const refused = await run('--from', 'clicks:?count=3', '--to', `hdfs://alice@${address}/owned/there`)
      expect([refused.code, refused.stderr]).toEqual([
        1,
        expect.stringMatching(
          /HDFS at hdfs:\S+ does not allow it: Permission denied: user=alice, .*\(MLR_ERR_SERVER_LOGIN\)/,
        ),
      ])
      const missing = await run('--from', `hdfs://${address}/owned/none`, '--to', '-')
      expect([missing.code, missing.stderr]).toEqual([
        1,
        expect.stringContaining(`there is nothing at hdfs://${address}/owned/none`),
      ])
    })

    it('waits where no datanode takes data, says so, and gives up if it is told to', async () => {
      await cluster.kill('datanode-1')
      while ((await cluster.liveDataNodes()) > 0) await sleep(200)
      const one = make()
      const gaveUp = await one.run({}, '--retry-for', '2s')
      expect([gaveUp.code, gaveUp.stderr]).toEqual([
        1,
        expect.stringMatching(/has no datanode that takes data: .* given up after 2s/),
      ])
      const waiting = one.start()
      const out = ended(waiting)
      let said = ''
      waiting.stderr.on('data', (chunk: Buffer) => {
        said += chunk
      })
      while (!said.includes('waiting for it')) await sleep(50)
      await cluster.startDaemon('datanode-1')
      expect((await out).code, (await out).stderr).toBe(0)
      expect(said).toMatch(/can't do it now \(.*datanode.*\); waiting for it\n.* answers again/)
      await finish(one, 'no datanode')
    }, 120_000)

    it('tells a quota that is used up, and goes on when there is room', async () => {
      const one = make()
      await hdfs.makeFolder(one.out)
      await cluster.admin('-setSpaceQuota', '1m', one.out)
      const full = await one.run()
      expect([full.code, full.stderr]).toEqual([
        1,
        expect.stringMatching(
          /HDFS at hdfs:\S+ is full: The DiskSpace quota of \/case-\d+ is exceeded: .*MLR_ERR_OUTPUT_WRITE/,
        ),
      ])
      await cluster.admin('-clrSpaceQuota', one.out)
      await finish(one, 'quota')
    })

    it('waits while the disks of the datanodes are full, says so, and goes on when there is room', async ({ skip }) => {
      const small = await servers.hadoop()
      const disk = join(dirname(small.conf), 'data', 'node-1')
      await small.kill('datanode-1')
      // A block takes 128 MB of room, however short it is in the end.
      if ((await shell(`rm -rf ${disk}/* && mount -t tmpfs -o size=500m tmpfs ${disk}`)).code !== 0)
        return skip('a tmpfs can’t be mounted here')
      try {
        await small.startDaemon('datanode-1')
        await small.untilHdfsWorks()
        const ballast = join(disk, 'ballast')
        expect((await shell(`head -c 420M /dev/zero > ${ballast}`)).code).toBe(0)
        const one = new HdfsCase(small, temporaryFolder())
        const gaveUp = await one.run({}, '--retry-for', '2s')
        expect([gaveUp.code, gaveUp.stderr]).toEqual([
          1,
          expect.stringMatching(/has no datanode that takes data: .*are their disks full\?; given up after 2s/),
        ])
        const waiting = one.start()
        const out = ended(waiting)
        let said = ''
        waiting.stderr.on('data', (chunk: Buffer) => {
          said += chunk
        })
        while (!said.includes('waiting for it') && waiting.exitCode === null) await sleep(50)
        rmSync(ballast)
        expect((await out).code, (await out).stderr).toBe(0)
        const last = await one.run()
        expect(last.code, last.stderr).toBe(0)
        expect(await one.held()).toEqual(await one.expected())
        expect(await one.temporaries()).toEqual([])
      } finally {
        await small.stop()
        await shell(`umount ${disk}`)
      }
    }, 120_000)

    it('with two datanodes goes on while one of them is dead', async () => {
      const two = await servers.hadoop({ dataNodes: 2 })
      const one = new HdfsCase(two, temporaryFolder())
      const child = one.start(OFTEN, '--follow')
      const out = ended(child)
      await sleep(1500)
      await two.kill('datanode-2')
      for (let i = 0; i < 5; i++) {
        one.grow(200)
        await sleep(300)
      }
      child.kill('SIGTERM')
      expect((await out).code, (await out).stderr).toBe(0)
      const last = await one.run()
      expect(last.code, last.stderr).toBe(0)
      expect(await one.held()).toEqual(await one.expected())
      await two.stop()
    }, 120_000)

    it('goes on when the namenode, the datanode or both are killed, and through safe mode', async () => {
      const one = make()
      const child = one.start(OFTEN, '--follow')
      const out = ended(child)
      const faults: Record<string, () => Promise<void>> = {
        'the namenode is killed': async () => {
          await cluster.kill('namenode')
          await cluster.startDaemon('namenode')
        },
        'the datanode is killed': async () => {
          await cluster.kill('datanode-1')
          await sleep(500)
          await cluster.startDaemon('datanode-1')
        },
        'both are killed': async () => {
          await Promise.all([cluster.kill('namenode'), cluster.kill('datanode-1')])
          await Promise.all([cluster.startDaemon('namenode'), cluster.startDaemon('datanode-1')])
        },
        'the namenode hangs': async () => {
          cluster.daemons.get('namenode')?.signal('SIGSTOP')
          await sleep(3000)
          cluster.daemons.get('namenode')?.signal('SIGCONT')
        },
        'safe mode': async () => {
          await cluster.admin('-safemode', 'enter')
          await sleep(500)
          await cluster.admin('-safemode', 'leave')
        },
      }
      for (const [name, fault] of Object.entries(faults)) {
        one.grow(300)
        await fault()
        one.grow(300)
        await cluster.untilHdfsWorks()
        expect(child.exitCode, `${name}: ${child.exitCode === null ? '' : (await out).stderr}`).toBe(null)
      }
      await sleep(1000)
      child.kill('SIGTERM')
      const stopped = await out
      expect(stopped.code, stopped.stderr).toBe(0)
      expect(stopped.stderr).toContain('answers again')
      await finish(one, 'servers killed')
    }, 300_000)
  })
})
