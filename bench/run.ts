// `npm run bench`: what we claim of speed and memory, with rivals in the same run. `-- --help` tells the parts.
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { clickLines } from '../src/sources/clicks.ts'
import { type Measured, measure, median } from './measure.ts'

const HELP = `Usage: npm run bench -- [PART …] [--rounds N] [--records N] [--write]

Parts (default: all):
  clicks     count and last action per user, from a file, with rivals
  operators  what a fused operator costs
  memory     10 million records; a sink 100 times slower than its source
  checkpoints
             what checkpoints cost; a start with a million keys
  kafka      Kafka to MongoDB against a bare loop; latency (starts servers)
  hadoop     the click count on Hadoop against Python; HDFS against a bare copy
             (starts servers)

  --rounds N   how often each is run, interleaved; the median counts (default 5)
  --records N  clicks in the file (default 2,000,000)
  --write      writes bench/RESULTS.md
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    records: { type: 'string' },
    write: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})
if (values.help === true) {
  process.stdout.write(HELP)
  process.exit(0)
}
const ROUNDS = Number(values.rounds ?? 5)
const RECORDS = Number(values.records ?? 2_000_000)
const bench = dirname(fileURLToPath(import.meta.url))
const root = join(bench, '..')
process.chdir(root)
const wanted = (part: string): boolean => positionals.length === 0 || positionals.includes(part)
const report: string[] = []
const say = (line: string): void => {
  report.push(line)
  process.stdout.write(`${line}\n`)
}

function prepare(): string {
  if (!existsSync(join(bench, 'node_modules'))) {
    process.stderr.write('installing the rivals: npm ci --prefix bench\n')
    execFileSync('npm', ['ci', '--prefix', 'bench', '--no-audit', '--no-fund'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  mkdirSync(join(bench, '.data'), { recursive: true })
  return join('bench/.data', `clicks-${RECORDS}.ndjson`)
}

async function makeClicks(path: string): Promise<void> {
  if (existsSync(path)) return
  process.stderr.write(`making ${path}\n`)
  const next = clickLines({ seed: 1 })
  const out = createWriteStream(`${path}.tmp`)
  for (let made = 0; made < RECORDS; made += 1000) {
    let text = ''
    for (let i = 0; i < Math.min(1000, RECORDS - made); i++) text += next()
    if (!out.write(text)) await new Promise((resolve) => out.once('drain', resolve))
  }
  await new Promise<void>((resolve) => out.end(() => resolve()))
  execFileSync('mv', [`${path}.tmp`, path])
}

interface Rival {
  readonly name: string
  readonly command: string
  readonly env?: NodeJS.ProcessEnv
}

async function clicks(path: string): Promise<void> {
  const rivals: readonly Rival[] = [
    { name: 'millrace run', command: `node pipelines/clickstream.ts --quiet --to - --from ${path}` },
    { name: 'hand-written loop, joined', command: `node bench/rivals/hand-loop-joined.mjs ${path}` },
    { name: 'hand-written loop, line by line', command: `node bench/rivals/hand-loop-lines.mjs ${path}` },
    {
      name: 'millrace batch (2 splits)',
      command: `node pipelines/clickstream.ts batch --quiet --splits 2 --input ${path}`,
    },
    { name: 'split2 + one Transform a step', command: `node bench/rivals/split2-transforms.mjs ${path}` },
    {
      name: 'millrace run, 10 trivial steps more',
      command: `node bench/clickstream-steps.ts --quiet --from ${path}`,
      env: { STEPS: '10' },
    },
    {
      name: 'split2, 10 trivial steps more',
      command: `node bench/rivals/split2-transforms.mjs ${path}`,
      env: { STEPS: '10' },
    },
    { name: 'Python 3, dict', command: `python3 bench/rivals/dict.py ${path}` },
    {
      name: 'Python 3, mapper | sort | reducer',
      command: `python3 bench/rivals/mapper.py < ${path} | LC_ALL=C sort | python3 bench/rivals/reducer.py`,
    },
    { name: 'DuckDB', command: `node bench/rivals/duckdb.mjs ${path}` },
  ]
  const results = new Map<string, Measured[]>(rivals.map(({ name }) => [name, []]))
  // One round that does not count fills the caches, of files and of compiled code.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { name, command, env } of rivals) {
      process.stderr.write(`round ${round} of ${ROUNDS}: ${name}\n`)
      const measured = await measure(command, env)
      if (round > 0) results.get(name)?.push(measured)
    }
  }
  const time = (name: string): number => median((results.get(name) as Measured[]).map(({ seconds }) => seconds))
  const checksums = new Set([...results.values()].flat().map(({ checksum }) => checksum))
  say(`## ${RECORDS.toLocaleString('en-US')} clicks of 84 bytes, count and last action of 10,000 users\n`)
  say('| | seconds | × millrace run | peak MB |')
  say('| --- | ---: | ---: | ---: |')
  for (const { name } of rivals) {
    const peak = Math.max(...(results.get(name) as Measured[]).map(({ peakMB }) => peakMB))
    say(
      `| ${name.replaceAll('|', '\\|')} | ${time(name).toFixed(2)} | ${(time(name) / time('millrace run')).toFixed(2)} | ${peak} |`,
    )
  }
  say(
    `\nChecksum of every result: ${checksums.size === 1 ? `the same (${[...checksums][0]})` : `DIFFERENT: ${[...checksums].join(', ')}`}\n`,
  )
  const ours = time('millrace run')
  const fasterHand = Math.min(time('hand-written loop, joined'), time('hand-written loop, line by line'))
  claim('fused run to the faster hand-written loop', ours / fasterHand, '≤', 1.35)
  claim('fused run to the loop line by line', ours / time('hand-written loop, line by line'), '≤', 1.15)
  claim('split2 + Transforms to the fused run', time('split2 + one Transform a step') / ours, '≥', 1.25)
  claim(
    'the same with ten trivial steps in both',
    time('split2, 10 trivial steps more') / time('millrace run, 10 trivial steps more'),
    '≥',
    3,
  )
  claim('Python mapper, sort and reducer to the fused run', time('Python 3, mapper | sort | reducer') / ours, '≥', 5)
  claim('Python dict to the fused run', time('Python 3, dict') / ours, '≥', 2)
  claim('batch to the fused run', time('millrace batch (2 splits)') / ours, '<', 1)
  say(`- the limit: DuckDB takes ${(time('DuckDB') / ours).toFixed(2)} × the time of the fused run\n`)
}

function claim(what: string, got: number, relation: '≤' | '≥' | '<', wanted: number): void {
  const holds = relation === '≤' ? got <= wanted : relation === '≥' ? got >= wanted : got < wanted
  say(`- ${holds ? 'holds' : 'DOES NOT HOLD'}: ${what}: ${got.toFixed(2)} ${relation} ${wanted}`)
}

async function operators(): Promise<void> {
  say('## The cost of an operator\n')
  const { output } = await measure('node bench/operator-cost.ts')
  const { records, nsPerRecord, nsPerOperator } = JSON.parse(output) as {
    records: number
    nsPerRecord: Record<string, number>
    nsPerOperator: Record<string, number>
  }
  say(`Trivial \`map\`s, fused, over ${records.toLocaleString('en-US')} numbers in memory; median of 7.\n`)
  say('| operators | ns a record in all | ns a record and operator |')
  say('| ---: | ---: | ---: |')
  for (const [size, ns] of Object.entries(nsPerRecord))
    say(`| ${size} | ${ns.toFixed(1)} | ${size === '0' ? '' : (nsPerOperator[size] as number).toFixed(1)} |`)
  say('')
  claim('an added trivial operator, ns a record, of 20', nsPerOperator['20'] as number, '≤', 15)
  say('')
}

async function memory(): Promise<void> {
  say('## Memory\n')
  const two = await measure('node pipelines/clickstream.ts --quiet --to - --from "clicks:?count=2000000"')
  const ten = await measure('node pipelines/clickstream.ts --quiet --to - --from "clicks:?count=10000000"')
  say('| the click count, 10,000 users | peak MB |')
  say('| --- | ---: |')
  say(`| 2 million records | ${two.peakMB} |`)
  say(`| 10 million records | ${ten.peakMB} |`)
  const slow = JSON.parse((await measure('node bench/slow-sink.ts')).output) as {
    records: number
    quarterMB: number
    endMB: number
    peakMB: number
  }
  say(
    `| ${slow.records.toLocaleString('en-US')} records into a sink 100 times slower: at a quarter | ${slow.quarterMB} |`,
  )
  say(`| … at the end | ${slow.endMB} |\n`)
  claim('peak MB of 10 million records', ten.peakMB, '≤', 400)
  say('')
}

/** So many that a run takes ten seconds and more: the start and the last checkpoint cost the same in any run. */
const COPIES = 12

async function checkpoints(path: string): Promise<void> {
  say('## Checkpoints\n')
  const data = join('bench/.data', `${COPIES}-copies-of-${RECORDS}`)
  mkdirSync(data, { recursive: true })
  for (let i = 1; i <= COPIES; i++) if (!existsSync(join(data, `${i}.ndjson`))) cpSync(path, join(data, `${i}.ndjson`))
  const work = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const run = `node pipelines/clickstream.ts --quiet --to 'sqlite:${work}/out.sqlite?table=users'`
  const [plain, kept]: [number[], number[]] = [[], []]
  for (let round = 0; round <= Math.min(3, ROUNDS); round++) {
    process.stderr.write(`round ${round}: checkpoints\n`)
    const without = await measure(`${run} --from ${data}; rm ${work}/*`)
    const withThem = await measure(`${run} --from ${data} --checkpoint ${work}/ck; rm -r ${work}/*`)
    if (round === 0) continue
    plain.push(without.seconds)
    kept.push(withThem.seconds)
  }
  const keys = join(work, 'keys')
  mkdirSync(keys)
  const first = join(keys, '01.ndjson')
  writeFileSync(first, '')
  for (let i = 0; i < 1000; i++) {
    appendFileSync(
      first,
      Array.from({ length: 1000 }, (_, j) => `{"user_id":"visitor-${i * 1000 + j}","action":"view"}\n`).join(''),
    )
  }
  const million = `${run} --from ${keys} --checkpoint ${work}/million`
  await measure(million)
  appendFileSync(first, '{"user_id":"visitor-1","action":"view"}\n')
  const restart = await measure(million)
  // Every key again and again: the longest run, for it must be longer than the interval stretches.
  for (let i = 2; i <= 60; i++) cpSync(first, join(keys, `${String(i).padStart(2, '0')}.ndjson`))
  rmSync(join(work, 'million'), { recursive: true })
  execFileSync('bash', ['-c', `rm ${work}/out.sqlite*`])
  const allPlain: number[] = []
  const allKept: number[] = []
  for (let round = 0; round < 2; round++) {
    process.stderr.write(`round ${round}: a million keys, all changing\n`)
    allPlain.push((await measure(`${run} --from ${keys}; rm ${work}/out.sqlite*`)).seconds)
    allKept.push((await measure(`${million}; rm -r ${work}/out.sqlite* ${work}/million`)).seconds)
  }
  const costs = [
    [10_000, 1000, 5],
    [100_000, 1000, 5],
    [1_000_000, 1000, 5],
    [1_000_000, 10_000, 20],
  ].map(([held, changed, seconds]) => {
    process.stderr.write(`checkpoints of ${changed} keys of ${held}\n`)
    const out = execFileSync('node', ['bench/checkpoint-cost.ts', String(held), String(changed), String(seconds)])
    return JSON.parse(out.toString()) as {
      held: number
      changed: number
      checkpoints: number
      medianMs: number
      p99PauseMs: number
      longestPauseMs: number
    }
  })
  process.stderr.write('latency of a followed file\n')
  const latency = JSON.parse(
    execFileSync('node', ['bench/file-latency.ts', '1000', '20'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString(),
  ) as {
    lines: number
    p50: number
    p99: number
    longest: number
  }
  say(
    `${(COPIES * RECORDS).toLocaleString('en-US')} clicks of 10,000 users into SQLite, a checkpoint each 250 ms or as often as its pace allows; median of ${plain.length}.\n`,
  )
  say('| | seconds |')
  say('| --- | ---: |')
  say(`| without checkpoints | ${median(plain).toFixed(2)} |`)
  say(`| with | ${median(kept).toFixed(2)} |`)
  say(`| 60 million clicks of a million users, each changing 60 times, without | ${median(allPlain).toFixed(2)} |`)
  say(`| with | ${median(allKept).toFixed(2)} |`)
  say(`| started again with a million keys, to its end with one more click | ${restart.seconds.toFixed(2)} |\n`)
  say(
    'A checkpoint, and for how long the stream is held back, at a steady rate (a batch each 10 ms); rows in SQLite:\n',
  )
  say('| keys held | keys changed in 250 ms | checkpoints | median | pause, p99 | longest pause |')
  say('| ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const { held, changed, checkpoints, medianMs, p99PauseMs, longestPauseMs } of costs)
    say(
      `| ${held.toLocaleString('en-US')} | ${changed.toLocaleString('en-US')} | ${checkpoints} | ${medianMs} ms | ${p99PauseMs} ms | ${longestPauseMs} ms |`,
    )
  say(
    `\nFrom a line that is appended to a followed file to its row in SQLite, 1,000 lines a second, default settings, ${latency.lines} lines: p50 ${latency.p50} ms, p99 ${latency.p99} ms, longest ${latency.longest} ms.\n`,
  )
  claim('throughput that is kept with checkpoints', median(plain) / median(kept), '≥', 0.9)
  claim('throughput that is kept with a million keys, all changing', median(allPlain) / median(allKept), '≥', 0.75)
  claim('p99 pause in ms, a million keys held, 10,000 changing', costs[3]?.p99PauseMs ?? Number.NaN, '≤', 50)
  claim(
    'a checkpoint of 1,000 keys, of a million against of 10,000',
    (costs[2]?.medianMs ?? 0) / (costs[0]?.medianMs ?? 1),
    '≤',
    10,
  )
  claim('latency in ms, p50', latency.p50, '≤', 250)
  claim('latency in ms, p99', latency.p99, '≤', 600)
  claim('seconds of a start with a million keys', restart.seconds, '≤', 5)
  say('')
}

async function kafka(): Promise<void> {
  say('## Kafka to MongoDB\n')
  const records = Math.max(3_000_000, RECORDS)
  const out = execFileSync('node', ['bench/kafka.ts', String(records), String(Math.min(3, ROUNDS))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { loopSeconds, streamSeconds, manySeconds, manyPeakMB, clicks, p50, p99, longest } = JSON.parse(
    out.toString(),
  ) as Record<string, number> as {
    loopSeconds: number
    streamSeconds: number
    manySeconds: number
    manyPeakMB: number
    clicks: number
    p50: number
    p99: number
    longest: number
  }
  say(
    `${records.toLocaleString('en-US')} clicks of 10,000 users in a topic of 3 partitions, read to its end; broker, mongod and reader on the same cores; whole processes; median of ${Math.min(3, ROUNDS)}.\n`,
  )
  say('| | seconds |')
  say('| --- | ---: |')
  say(`| kafkajs eachBatch, JSON.parse, a Map; writes nothing | ${loopSeconds.toFixed(2)} |`)
  say(`| pipelines/clickstream.ts, into MongoDB, exactly once | ${streamSeconds.toFixed(2)} |\n`)
  say(
    `A million distinct users, two clicks each, to their documents: ${manySeconds.toFixed(1)} s, at most ${manyPeakMB} MB.\n`,
  )
  say(
    `From a click that is produced to its document, 1,000 clicks a second of as many users, default settings, ${clicks} documents: p50 ${p50} ms, p99 ${p99} ms, longest ${longest} ms.\n`,
  )
  claim('throughput of the bare loop that the stream has', loopSeconds / streamSeconds, '≥', 0.85)
  claim('latency in ms, p50', p50, '≤', 400)
  claim('latency in ms, p99', p99, '≤', 1000)
  say('')
}

async function hadoop(): Promise<void> {
  say('## Hadoop\n')
  const out = execFileSync(
    'node',
    ['bench/hadoop.ts', String(RECORDS), String(5 * RECORDS), String(Math.min(3, ROUNDS))],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  type Race = { millrace: number; python: number }
  const { localRecords, yarnRecords, copyMB, read, bareRead, write, bareWrite, local, yarn } = JSON.parse(
    out.toString(),
  ) as Record<string, number> & { local: Race; yarn: Race }
  say(
    `Count and last action of each user as a streaming job with 2 reducers, client included; plain Python 3 is \`rivals/mapper.py\` and \`reducer.py\`. Daemons and tasks on the same cores; median of ${Math.min(3, ROUNDS)}; the results are the same.\n`,
  )
  say('| | millrace | Python 3 |')
  say('| --- | ---: | ---: |')
  for (const [records, where, race] of [
    [localRecords, "Hadoop's local runner", local],
    [yarnRecords, 'YARN', yarn],
  ] as const)
    say(
      `| ${records?.toLocaleString('en-US')} clicks, ${where} | ${race.millrace.toFixed(1)} s | ${race.python.toFixed(1)} s |`,
    )
  say(`\n${copyMB} MB over WebHDFS, one file, one datanode:\n`)
  say('| | millrace | bare node:http |')
  say('| --- | ---: | ---: |')
  say(`| read | ${read?.toFixed(2)} s | ${bareRead?.toFixed(2)} s |`)
  say(`| write | ${write?.toFixed(2)} s | ${bareWrite?.toFixed(2)} s |\n`)
  claim("the local runner's time of Python that ours takes", local.millrace / local.python, '≤', 0.5)
  claim("YARN's time of Python that ours takes", yarn.millrace / yarn.python, '≤', 0.75)
  claim('throughput of a bare copy: reading', (bareRead as number) / (read as number), '≥', 0.8)
  claim('throughput of a bare copy: writing', (bareWrite as number) / (write as number), '≥', 0.8)
  say('')
}

say('# Results\n')
say(
  `\`npm run bench\`, ${new Date().toISOString().slice(0, 10)}: ${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}. Wall time of whole processes, start-up`,
)
say(
  `included; interleaved, the median of ${ROUNDS} after a round that does not count. The machine is shared: read ratios, not seconds.\n`,
)
const path = prepare()
if (wanted('clicks')) {
  await makeClicks(path)
  await clicks(path)
}
if (wanted('operators')) await operators()
if (wanted('memory')) await memory()
if (wanted('checkpoints')) {
  await makeClicks(path)
  await checkpoints(path)
}
if (wanted('kafka')) await kafka()
if (wanted('hadoop')) await hadoop()
say('## How to read it\n')
say(readFileSync(join(bench, 'notes.md'), 'utf8').trim())
if (values.write === true) writeFileSync(join(bench, 'RESULTS.md'), `${report.join('\n')}\n`)
