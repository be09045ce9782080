// The click count as a streaming job, against the same job in plain Python: Hadoop's local runner and YARN. HDFS against a bare copy. Starts
// servers of its own. Prints one line of JSON.
//   node bench/hadoop.ts LOCAL_RECORDS YARN_RECORDS ROUNDS
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { type HadoopCluster, OwnServers } from '../services/index.ts'
import { HdfsConnection } from '../src/connections/hdfs.ts'
import { findHadoop } from '../src/hadoop/hadoop-client.ts'
import { clickLines } from '../src/sources/clicks.ts'
import { median } from './measure.ts'

const [localRecords = 2_000_000, yarnRecords = 10_000_000, rounds = 3] = process.argv.slice(2).map(Number)
if (!(localRecords > 0 && yarnRecords >= 0 && rounds > 0))
  throw new Error('usage: node bench/hadoop.ts [LOCAL_RECORDS] [YARN_RECORDS] [ROUNDS]')
const run = promisify(execFile)
const say = (line: string): void => void process.stderr.write(`${line}\n`)
const rivals = join(import.meta.dirname, 'rivals')
const COPY_MB = 400
const servers = new OwnServers(say)
const work = mkdtempSync(join(tmpdir(), 'millrace-bench-'))

async function upload(hdfs: HdfsConnection, folder: string, records: number): Promise<void> {
  const FILES = 4
  const next = clickLines({ seed: 1 })
  function* texts(): Generator<Buffer> {
    for (let made = 0; made < records / FILES; made += 1000)
      yield Buffer.from(Array.from({ length: 1000 }, next).join(''))
  }
  for (let i = 0; i < FILES; i++)
    await hdfs.createFrom(`${folder}/${i}.ndjson`, Readable.from(texts(), { objectMode: false }))
}

async function checksum(hdfs: HdfsConnection, folder: string): Promise<string> {
  const lines: string[] = []
  for (const { name } of (await hdfs.list(folder)) ?? [])
    if (name.startsWith('part-')) lines.push(...String(await hdfs.readWhole(`${folder}/${name}`)).split('\n'))
  return createHash('md5').update(lines.sort().join('\n').trim()).digest('hex').slice(0, 12)
}

/** Seconds of the two jobs, by turns. */
async function race(cluster: HadoopCluster, hdfs: HdfsConnection, input: string, framework: 'local' | 'yarn') {
  const env = { ...process.env, ...cluster.environment }
  const { command, streaming, env: javaEnv } = findHadoop(env)
  const parallel = ['map', 'reduce'].flatMap((role) => ['-D', `mapreduce.local.${role}.tasks.maximum=2`])
  const jobs = {
    millrace: (output: string) =>
      run(
        process.execPath,
        [
          ...['pipelines/clickstream.ts', 'hadoop', '--quiet', '--input', input, '--output', output, '--reducers', '2'],
          ...['--format', 'json', ...parallel, ...(framework === 'local' ? ['--local'] : ['--node', process.execPath])],
        ],
        { env },
      ),
    python: (output: string) =>
      run(
        command,
        [
          ...streaming(join(cluster.conf, 'log4j.properties')),
          ...['-D', `mapreduce.framework.name=${framework}`, '-D', 'mapreduce.job.reduces=2', ...parallel],
          ...['-D', 'stream.reduce.output=keyonlytext'],
          ...[
            '-files',
            `${join(rivals, 'mapper.py')},${join(rivals, 'reducer.py')}`,
            '-input',
            input,
            '-output',
            output,
          ],
          ...['-mapper', 'python3 mapper.py', '-reducer', 'python3 reducer.py'],
        ],
        { env: javaEnv, cwd: mkdtempSync(join(work, 'job-')), maxBuffer: 1 << 26 },
      ),
  }
  const seconds: Record<keyof typeof jobs, number[]> = { millrace: [], python: [] }
  const sums = new Set<string>()
  for (let round = 0; round <= rounds; round++) {
    for (const name of ['millrace', 'python'] as const) {
      say(`${framework}, round ${round} of ${rounds}: ${name}`)
      const began = performance.now()
      await jobs[name](`/out-${name}`)
      if (round > 0) seconds[name].push((performance.now() - began) / 1000)
      sums.add(await checksum(hdfs, `/out-${name}`))
      await hdfs.remove(`/out-${name}`)
    }
  }
  if (sums.size !== 1) throw new Error(`the jobs have different results: ${[...sums].join(', ')}`)
  return { millrace: median(seconds.millrace), python: median(seconds.python) }
}

/** Seconds of ours and of a bare client, by turns. */
async function copies(cluster: HadoopCluster, hdfs: HdfsConnection) {
  const base = `${cluster.url.replace('hdfs:', 'http:')}/webhdfs/v1`
  const bare = async (...args: string[]): Promise<number> => {
    const { stdout } = await run(process.execPath, [join(rivals, 'http-copy.mjs'), ...args])
    return (JSON.parse(stdout) as { seconds: number }).seconds
  }
  const piece = Buffer.alloc(1 << 20, 'x')
  function* pieces(): Generator<Buffer> {
    for (let i = 0; i < COPY_MB; i++) yield piece
  }
  const timed = async (what: () => Promise<unknown>): Promise<number> => {
    const began = performance.now()
    await what()
    return (performance.now() - began) / 1000
  }
  const found = { read: [] as number[], bareRead: [] as number[], write: [] as number[], bareWrite: [] as number[] }
  for (let round = 0; round <= rounds + 2; round++) {
    say(`copies, round ${round}`)
    const bareWrite = await bare('write', `${base}/copy-bare?user.name=root`, String(COPY_MB))
    const write = await timed(() => hdfs.createFrom('/copy', Readable.from(pieces(), { objectMode: false })))
    const bareRead = await bare('read', `${base}/copy-bare?user.name=root`)
    const read = await timed(async () => {
      let bytes = 0
      for await (const chunk of hdfs.read('/copy')) bytes += chunk.length
      if (bytes !== COPY_MB << 20) throw new Error(`read ${bytes} bytes`)
    })
    if (round === 0) continue
    found.read.push(read)
    found.bareRead.push(bareRead)
    found.write.push(write)
    found.bareWrite.push(bareWrite)
  }
  return Object.fromEntries(Object.entries(found).map(([name, all]) => [name, median(all)]))
}

try {
  const cluster = await servers.hadoop({ yarn: true })
  const hdfs = new HdfsConnection({ nameNodes: [cluster.url.replace('hdfs://', '')] })
  const copied = await copies(cluster, hdfs)
  await upload(hdfs, '/local', localRecords)
  const local = await race(cluster, hdfs, '/local', 'local')
  let yarn: Awaited<ReturnType<typeof race>> | undefined
  if (yarnRecords > 0) {
    await upload(hdfs, '/yarn', yarnRecords)
    yarn = await race(cluster, hdfs, '/yarn', 'yarn')
  }
  console.log(JSON.stringify({ localRecords, yarnRecords, copyMB: COPY_MB, ...copied, local, yarn }))
} finally {
  await servers.stop()
  rmSync(work, { recursive: true, force: true })
}
