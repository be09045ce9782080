// From a line appended to a followed file to its row in SQLite, at so many lines a second. Prints one line of JSON.
//   node bench/file-latency.ts RATE SECONDS
import { spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

const [rate = 1000, seconds = 20] = process.argv.slice(2).map(Number)
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const input = join(folder, 'in.ndjson')
const database = join(folder, 'out.sqlite')
writeFileSync(input, '')
const run = [
  'pipelines/clickstream.ts',
  '--quiet',
  '--from',
  input,
  '--follow',
  '--to',
  `sqlite:${database}?table=users`,
]
const child = spawn(process.execPath, [...run, '--checkpoint', join(folder, 'ck')], { stdio: 'inherit' })

const TURN_MS = 10
const appended: number[] = []
let given = 0
const append = (): void => {
  const now = performance.now()
  let text = ''
  for (let i = 0; i < (rate * TURN_MS) / 1000; i++) {
    text += `{"user_id":"${given++}","action":"view","timestamp":"2026-01-01T00:00:00Z"}\n`
    appended.push(now)
  }
  appendFileSync(input, text)
}
// The first line tells when it is up.
append()
const rowsIn = (): DatabaseSync | undefined => {
  try {
    const opened = new DatabaseSync(database, { readOnly: true, timeout: 1000 })
    opened.prepare('SELECT rowid FROM users LIMIT 1').get()
    return opened
  } catch {
    return undefined
  }
}
let rows: DatabaseSync | undefined
while (rows === undefined || rows.prepare('SELECT count(*) AS n FROM users').get()?.n === 0) {
  rows ??= rowsIn()
  await sleep(50)
}
const newer = rows.prepare('SELECT rowid, user_id FROM users WHERE rowid > ?')
let last = 0
const latencies: number[] = []
const look = (): void => {
  const now = performance.now()
  for (const row of newer.all(last)) {
    last = Math.max(last, Number(row.rowid))
    latencies.push(now - (appended[Number(row.user_id)] as number))
  }
}
look()
latencies.length = 0
const started = performance.now()
for (let due = started; due < started + seconds * 1000; due += TURN_MS) {
  append()
  while (performance.now() < due + TURN_MS) {
    look()
    await sleep(2)
  }
}
for (let i = 0; i < 200 && last < given; i++) {
  look()
  await sleep(10)
}
child.kill('SIGTERM')
await new Promise((resolve) => child.on('close', resolve))
rows.close()
rmSync(folder, { recursive: true })
latencies.sort((a, b) => a - b)
const at = (share: number): number => Math.round(latencies[Math.floor(latencies.length * share)] as number)
console.log(JSON.stringify({ rate, lines: latencies.length, p50: at(0.5), p99: at(0.99), longest: at(0.99999) }))
