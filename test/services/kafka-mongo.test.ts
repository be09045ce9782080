import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Random, storeContract } from 'millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openMongoStore } from '../../src/checkpoints/mongo.ts'
import { ended, program, ROOT, start } from '../support/program.ts'
import { type LiveCase, LiveServers, whySkipped } from './live-runs.ts'

const PLAN = join(ROOT, 'test/services/live-plan.ts')
const RUN = [PLAN, 'run', '--until-end', '--tick', '20ms']
/** Checkpoints come as often as asked, and nothing is killed. */
const OFTEN = { MILLRACE_FAULT: 'none@1:SIGKILL' }
const skipped = whySkipped()

describe.skipIf(skipped !== undefined)('Kafka to MongoDB and Kafka', () => {
  const servers = new LiveServers()
  beforeAll(() => servers.start(), 300_000)
  afterAll(() => servers.stop(), 60_000)

  const run = (live: LiveCase, more: NodeJS.ProcessEnv = {}, args = RUN) =>
    program(args, { env: { ...live.env, ...more } })
  const finish = async (live: LiveCase, why: string): Promise<void> => {
    const out = await run(live)
    expect(out.code, `${why}: ${out.stderr}`).toBe(0)
    expect(await live.held(), why).toEqual(live.expected())
  }

  it('gives what the records say, and goes on where it was', async () => {
    const live = await servers.make()
    await live.produce(3000)
    const out = await run(live)
    expect(out.code, out.stderr).toBe(0)
    expect(out.stderr).toContain('exactly once: kafka → mongo, checkpoints in mongodb://')
    expect(out.stderr).toContain('exactly once (for readers of what is committed): kafka → kafka')
    expect(await live.held()).toEqual(live.expected())
    await live.produce(500)
    const again = await run(live)
    expect(again.stderr).toContain('read 500 records')
    expect(await live.held()).toEqual(live.expected())
    const shown = await program([PLAN, 'checkpoints', 'show'], { env: live.env })
    expect(shown.stdout).toContain(`position  kafka ${live.name}/0`)
  })

  it('killed at each point of the protocol, and started again', async () => {
    for (const point of [
      'after takeover',
      'after sinks began',
      'after prepare',
      'after parts',
      'between create and listing',
      'after commit',
      'between init and mark',
      'before the transaction ends',
      'rows written',
      'between sinks',
      'after publish',
    ]) {
      const live = await servers.make()
      await live.produce(2000)
      const times = ['after takeover', 'after sinks began', 'between init and mark', 'rows written'].includes(point)
        ? 1
        : 2
      const killed = await run(live, { MILLRACE_FAULT: `${point}@${times}:SIGKILL` })
      if (times === 1) expect(killed.signal, `${point}: ${killed.stderr}`).toBe('SIGKILL')
      await live.produce(300)
      await finish(live, point)
    }
  }, 300_000)

  it('killed at random instants, while records come', async () => {
    const live = await servers.make()
    const random = new Random(11)
    let kills = 0
    // How many of them meet a run that still works depends on the machine.
    for (let i = 0; i < 40 && kills < 10; i++) {
      await live.produce(400)
      const child = start(RUN, { env: { ...live.env, ...OFTEN } })
      const out = ended(child)
      const timer = setTimeout(() => child.kill('SIGKILL'), 200 + random.below(900))
      if ((await out).signal === 'SIGKILL') kills++
      clearTimeout(timer)
    }
    expect(kills).toBeGreaterThan(3)
    await finish(live, 'at random')
  }, 300_000)

  it('a zombie that wakes after another has gone on stops with exit code 3 and has changed nothing', async () => {
    for (const point of ['after commit', 'before the transaction ends', 'after parts']) {
      const live = await servers.make()
      await live.produce(2000)
      const zombie = start(RUN, { env: { ...live.env, MILLRACE_FAULT: `${point}@1:SIGSTOP` } })
      const died = ended(zombie)
      while (!/State:\s+T/.test(readFileSync(`/proc/${zombie.pid}/status`, 'utf8'))) await sleep(10)
      await live.produce(200)
      // Its session in the group must be over first.
      await finish(live, point)
      const held = await live.held()
      zombie.kill('SIGCONT')
      const out = await died
      expect(out.code, `${point}: ${out.stderr}`).toBe(3)
      expect(await live.held(), point).toEqual(held)
    }
  }, 300_000)

  it('goes on when the broker, mongod or both are killed, stopped or stepped down, and when partitions are added', async () => {
    const live = await servers.make()
    const child = start([PLAN, 'run'], { env: live.env })
    const out = ended(child)
    const admin = servers.client.db('admin')
    const faults: Record<string, () => Promise<void>> = {
      'nothing at all': async () => {},
      'mongod steps down': async () => {
        await admin.command({ replSetStepDown: 3, force: true }).catch(() => {})
      },
      'mongod is killed': async () => {
        await servers.mongo.kill()
        await sleep(1000)
        await servers.mongo.start()
      },
      'mongod hangs': async () => {
        servers.mongo.process?.signal('SIGSTOP')
        await sleep(5000)
        servers.mongo.process?.signal('SIGCONT')
      },
      'the broker is killed': async () => {
        await servers.kafka.killBroker(0)
        await sleep(1000)
        await servers.kafka.startBroker(0)
      },
      'both are killed': async () => {
        await Promise.all([servers.kafka.killBroker(0), servers.mongo.kill()])
        await Promise.all([servers.kafka.startBroker(0), servers.mongo.start()])
      },
      'two partitions more': async () => {
        await (await servers.connection.admin()).createPartitions({ topicPartitions: [{ topic: live.name, count: 5 }] })
      },
    }
    let partitions = 3
    for (const [name, fault] of Object.entries(faults)) {
      await live.produce(300, partitions)
      await fault()
      if (name === 'two partitions more') partitions = 5
      await live.produce(300, partitions)
      const expected = JSON.stringify(live.expected())
      let held = ''
      for (const until = Date.now() + 60_000; held !== expected && Date.now() < until && child.exitCode === null; ) {
        await sleep(300)
        held = JSON.stringify(await live.held().catch(() => undefined))
      }
      if (child.exitCode !== null) throw new Error(`${name}: ${(await out).stderr}`)
      expect(JSON.parse(held), name).toEqual(live.expected())
    }
    child.kill('SIGTERM')
    expect((await out).code, (await out).stderr).toBe(0)
  }, 400_000)

  it('gives up after the time that it is told, and the next start loses nothing', async () => {
    for (const server of ['mongod', 'the broker'] as const) {
      const live = await servers.make()
      await live.produce(300)
      const child = start([PLAN, 'run', '--retry-for', '2s'], { env: live.env })
      const out = ended(child)
      while ((await servers.client.db(live.name).collection('users').countDocuments()) === 0) await sleep(100)
      if (server === 'mongod') await servers.mongo.kill()
      else await servers.kafka.killBroker(0)
      // Something must be on its way: an idle stream does not ask MongoDB for anything but a sign of life.
      const gaveUp = await out
      expect([gaveUp.code, gaveUp.stderr], server).toEqual([
        1,
        expect.stringContaining('given up after 2s (--retry-for)'),
      ])
      expect(gaveUp.stderr).toContain('MLR_ERR_SERVER_UNREACHABLE')
      if (server === 'mongod') await servers.mongo.start()
      else await servers.kafka.startBroker(0)
      await live.produce(100)
      await finish(live, server)
    }
  }, 200_000)

  it('a second process stands by, and works when the first one stops', async () => {
    const live = await servers.make()
    await live.produce(200)
    const first = start([PLAN, 'run'], { env: live.env })
    const firstOut = ended(first)
    while ((await servers.client.db(live.name).collection('users').countDocuments()) === 0) await sleep(100)
    const second = start([PLAN, 'run'], { env: live.env })
    const secondOut = ended(second)
    await new Promise<void>((resolve) =>
      second.stderr.on('data', (chunk: Buffer) => chunk.includes('standby: ') && resolve()),
    )
    await live.produce(200)
    first.kill('SIGTERM')
    expect((await firstOut).code, (await firstOut).stderr).toBe(0)
    await live.produce(200)
    const expected = JSON.stringify(live.expected())
    for (let i = 0; i < 100 && JSON.stringify(await live.held()) !== expected; i++) await sleep(200)
    second.kill('SIGTERM')
    expect((await secondOut).code, (await secondOut).stderr).toBe(0)
    expect(await live.held()).toEqual(live.expected())
  }, 120_000)

  it('tells a topic that was made anew, and records that retention took; goes on only if told to', async () => {
    const live = await servers.make()
    await live.produce(500)
    expect((await run(live)).code).toBe(0)
    const admin = await servers.connection.admin()
    await admin.deleteTopics({ topics: [live.name] })
    await sleep(1000)
    await live.createTopic(live.name, 3)
    const anew = await run(live)
    expect([anew.code, anew.stderr]).toEqual([
      1,
      expect.stringContaining('was deleted and made anew since the checkpoint'),
    ])
    expect(anew.stderr).toContain("{ onGone: 'earliest' }")
    const on = await run(live, { ON_GONE: 'earliest' })
    expect(on.code, on.stderr).toBe(0)
    await live.produce(300)
    const config = {
      type: 2,
      name: live.name,
      configEntries: [
        { name: 'retention.ms', value: '1000' },
        { name: 'segment.ms', value: '500' },
      ],
    }
    await admin.alterConfigs({ validateOnly: false, resources: [config] })
    for (let i = 0; i < 60; i++) {
      await sleep(500)
      await live.produce(3)
      const { low } = (await servers.connection.offsets(live.name)).get(0) ?? { low: 0 }
      if (low > 110) break
    }
    const gone = await run(live)
    expect([gone.code, gone.stderr]).toEqual([1, expect.stringMatching(/records are gone by retention/)])
  }, 120_000)

  it('says within ten seconds, in a line, what is absent or refused, where, and what to do', async () => {
    const live = await servers.make()
    const stream = join(ROOT, 'pipelines/clickstream.ts')
    const mongo = servers.mongo.url.replace('/?', `/${live.name}?collection=c&`)
    const kafka = `kafka://${servers.kafka.url}/${live.name}`
    const cases = [
      [kafka.replace(/:\d+\//, ':9/'), mongo, 'no Kafka broker answers at 127.0.0.1:9: '],
      [`${kafka}-none`, mongo, `has no topic '${live.name}-none' — create it, or name another`],
      [kafka, mongo.replace(/:\d+\//, ':9/'), 'MongoDB does not answer at mongodb://127.0.0.1:9/'],
    ] as const
    for (const [from, to, text] of cases) {
      const out = await program([stream, 'run', '--from', from, '--to', to])
      expect([out.code, out.stderr], text).toEqual([1, expect.stringContaining(text)])
      expect(
        out.stderr
          .trim()
          .split('\n')
          .filter((line) => line.startsWith('error: ')).length,
      ).toBe(1)
    }
    await servers.client.db(live.name).collection('c').insertOne({ theirs: true })
    const foreign = await program([stream, 'run', '--from', kafka, '--to', mongo])
    expect([foreign.code, foreign.stderr]).toEqual([1, expect.stringContaining('was not made by Millrace')])
  }, 120_000)

  it('is what `npm run demo` shows, on servers that the environment names', async () => {
    const env = { MILLRACE_KAFKA: servers.kafka.url, MILLRACE_MONGO: servers.mongo.url }
    const out = await program([join(ROOT, 'scripts/demo.ts'), '--seconds', '6', '--rate', '200'], { env })
    expect(out.code, out.stdout + out.stderr).toBe(0)
    expect(out.stdout).toContain('Kafka, MongoDB: not started, the environment names others')
    expect(out.stdout).toContain('every count is equal to the truth: nothing lost, nothing twice')
    expect(out.stdout).toMatch(/lag of the group \S+: 0 records/)
  }, 120_000)

  describe('the checkpoint store', () => {
    const cases = storeContract({
      name: 'mongo',
      make: async () => {
        const name = `s${Math.random().toString(36).slice(2)}`
        const again = () => openMongoStore({ url: servers.mongo.url, database: name }, 'contract')
        return { store: await again(), again }
      },
    })
    for (const { title, run: check } of cases) it(title, check)

    it('holds a blob that is larger than a document', async () => {
      const store = await openMongoStore({ url: servers.mongo.url, database: 'large' }, 'large')
      const blob = Buffer.alloc(20_000_000, 'abc')
      expect(await store.create('part-1', blob)).toBe(true)
      expect(await store.create('part-1', Buffer.from('x'))).toBe(false)
      expect(Buffer.compare((await store.read('part-1')) as Uint8Array, blob)).toBe(0)
      expect(await store.list()).toEqual(['part-1'])
      await store.delete('part-1')
      expect(await store.list()).toEqual([])
      expect(await servers.client.db('large').collection('millrace_checkpoints').countDocuments()).toBe(0)
      await store.close?.()
    })
  })
})
