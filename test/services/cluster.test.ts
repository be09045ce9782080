import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ended, program, ROOT, start } from '../support/program.ts'
import { LiveServers, whySkipped } from './live-runs.ts'

const PLAN = join(ROOT, 'test/services/live-plan.ts')
const skipped = whySkipped()

describe.skipIf(skipped !== undefined)('three brokers, and a database that wants a login', () => {
  const servers = new LiveServers()
  beforeAll(() => servers.start({ brokers: 3, login: { user: 'ann', password: 'pass:w/ord' } }), 300_000)
  afterAll(() => servers.stop(), 60_000)

  it('loses nothing, and has nothing twice, while brokers are killed and come back under producers and consumers', async () => {
    const live = await servers.make()
    const child = start([PLAN, 'run'], { env: live.env })
    const out = ended(child)
    await live.produce(300)
    const users = servers.client.db(live.name).collection('users')
    while ((await users.countDocuments()) === 0 && child.exitCode === null) await sleep(100)
    for (let broker = 0; broker < 3; broker++) {
      await live.produce(300)
      await servers.kafka.killBroker(broker)
      await live.produce(300)
      await servers.kafka.startBroker(broker)
    }
    const expected = JSON.stringify(live.expected())
    let held = ''
    for (const until = Date.now() + 90_000; held !== expected && Date.now() < until && child.exitCode === null; ) {
      await sleep(500)
      held = JSON.stringify(await live.held().catch(() => undefined))
    }
    child.kill('SIGTERM')
    expect((await out).code, (await out).stderr).toBe(0)
    expect(JSON.parse(held)).toEqual(live.expected())
    expect((await out).stderr).not.toContain('pass')
  }, 240_000)

  it('says that the password is wrong, and never shows it', async () => {
    const live = await servers.make()
    const url = servers.mongo.url.replace('pass%3Aw%2Ford', 'wr0ng')
    const out = await program([PLAN, 'run'], { env: { ...live.env, MILLRACE_MONGO: url } })
    expect([out.code, out.stderr]).toEqual([1, expect.stringContaining('refuses the login: Authentication failed')])
    expect(out.stderr).not.toContain('wr0ng')
  })
})
