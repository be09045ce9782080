// How it is usually written with Node streams: split2, then one object-mode Transform a step. STEPS adds trivial ones.
import { createReadStream } from 'node:fs'
import { Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import split2 from 'split2'

const step = (fn) =>
  new Transform({
    objectMode: true,
    transform(value, _encoding, done) {
      const out = fn(value)
      if (out === undefined) done()
      else done(null, out)
    },
  })
const users = new Map()
const parse = step((line) => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
})
const isClick = step((c) =>
  typeof c.user_id === 'string' && c.user_id !== '' && typeof c.action === 'string' && c.action !== '' ? c : undefined,
)
const key = step((c) => ({ key: c.user_id, value: c }))
const trivial = Array.from({ length: Number(process.env.STEPS ?? 0) }, (_, i) =>
  step((c) => (c.n === i ? undefined : c)),
)
const count = new Writable({
  objectMode: true,
  write({ key, value }, _encoding, done) {
    const u = users.get(key)
    if (u === undefined) users.set(key, { n: 1, at: value.timestamp, last: value.action })
    else {
      u.n++
      if (value.timestamp > u.at || (value.timestamp === u.at && value.action > u.last)) {
        u.at = value.timestamp
        u.last = value.action
      }
    }
    done()
  },
})
await pipeline(
  createReadStream(process.argv[2], { highWaterMark: 1 << 18 }),
  split2(),
  parse,
  isClick,
  ...trivial,
  key,
  count,
)
for (const [id, u] of users)
  process.stdout.write(`{"user_id":"${id}","click_count":${u.n},"last_action":"${u.last}"}\n`)
