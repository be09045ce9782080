import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Random } from 'millrace/testing'
import { OwnServers } from '../../services/index.ts'
import { ended } from '../support/process.ts'
import { HdfsCase } from './hdfs-runs.ts'

/** Rounds of kills until the time is over: the pipeline, the namenode, the datanode. Returns how many rounds held, and how many did not. */
export async function soakHdfs(
  until: number,
  firstSeed: number,
  say: (line: string) => void,
): Promise<[passed: number, failed: number]> {
  const servers = new OwnServers()
  let [passed, failed] = [0, 0]
  try {
    const cluster = await servers.hadoop()
    for (let seed = firstSeed; Date.now() < until; seed++) {
      const random = new Random(seed)
      const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-'))
      const one = new HdfsCase(cluster, folder)
      let [kills, daemons] = [0, 0]
      for (let i = 0; i < 8; i++) {
        one.grow(300)
        const child = one.start({ MILLRACE_FAULT: 'none@1:SIGKILL' }, '--quiet')
        const out = ended(child)
        const timer = setTimeout(() => child.kill('SIGKILL'), 200 + random.below(1500))
        const daemon = ([undefined, undefined, 'namenode', 'datanode-1'] as const)[random.below(4)]
        await sleep(random.below(600))
        if (daemon !== undefined) {
          daemons++
          await cluster.kill(daemon)
          await cluster.startDaemon(daemon)
        }
        const { signal, code, stderr } = await out
        clearTimeout(timer)
        if (signal === 'SIGKILL') kills++
        else if (code !== 0) throw new Error(`seed ${seed}: the run ended with code ${code}: ${stderr}`)
        await cluster.untilHdfsWorks()
      }
      const last = await one.run()
      if (last.code !== 0) throw new Error(`seed ${seed}: ${last.stderr}`)
      const same = isDeepStrictEqual(await one.held(), await one.expected()) && (await one.temporaries()).length === 0
      if (same) passed++
      else failed++
      say(`seed ${seed}: ${kills} kills of the pipeline, ${daemons} of a daemon, ${same ? 'the same' : 'DIFFERENT'}`)
      rmSync(folder, { recursive: true, force: true })
    }
  } finally {
    await servers.stop()
  }
  return [passed, failed]
}
