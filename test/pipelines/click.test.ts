import { Random, testDriver } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { isClick, parseTime, timeOf } from '../../pipelines/click.ts'
import { clickstream } from '../../pipelines/clickstream.ts'

/** The format by the letter, by other means. */
function oracle(text: string): number | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,3}))?Z$/.exec(text)
  if (match === null) return undefined
  const padded = `${text.slice(0, 19)}.${(match[7] ?? '').padEnd(3, '0')}Z`
  const time = new Date(padded)
  return !Number.isNaN(time.getTime()) && time.toISOString() === padded ? time.getTime() : undefined
}

describe('the time of a click', () => {
  it.each([
    ['2026-01-02T03:04:05Z', Date.UTC(2026, 0, 2, 3, 4, 5)],
    ['2026-01-02T03:04:05.6Z', Date.UTC(2026, 0, 2, 3, 4, 5, 600)],
    ['2026-01-02T03:04:05.67Z', Date.UTC(2026, 0, 2, 3, 4, 5, 670)],
    ['2026-01-02T03:04:05.678Z', Date.UTC(2026, 0, 2, 3, 4, 5, 678)],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['0001-01-01T00:00:00Z', Date.parse('0001-01-01T00:00:00Z')],
    ['0000-02-29T23:59:59Z', Date.parse('0000-02-29T23:59:59Z')],
  ])('%s is read', (text, ms) => expect(parseTime(text)).toBe(ms))

  it.each([
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-32T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T23:60:00Z',
    '2026-01-01T23:59:60Z',
    '2026-01-01T00:00:00',
    '2026-01-01T00:00:00z',
    '2026-01-01 00:00:00Z',
    '2026-01-01t00:00:00Z',
    '2026-01-01T00:00:00.Z',
    '2026-01-01T00:00:00.1234Z',
    '2026-01-01T00:00:00+00:00',
    ' 2026-01-01T00:00:00Z',
    '2026-01-01T00:00:00Z ',
    '+002026-01-01T00:00:00Z',
    '2026-1-01T00:00:00Z',
    '２026-01-01T00:00:00Z',
    '2026-01-01T00:00:0-Z',
    '',
    '2026-01-01',
    '2026-01-01T00:00:00,5Z',
    '2026-01-01T00:00:00.5 Z',
  ])('%j is none', (text) => expect(parseTime(text)).toBeUndefined())

  it('agrees with the format by the letter on texts that are nearly right', () => {
    const random = new Random(11)
    for (let i = 0; i < 20_000; i++) {
      const digits = '.'.concat(String(random.below(1000)).padStart(3, '0').slice(0, random.below(4)))
      const text = [
        ...`${String(random.below(10_000)).padStart(4, '0')}-${String(random.below(14)).padStart(2, '0')}-${String(random.below(33)).padStart(2, '0')}T${String(random.below(26)).padStart(2, '0')}:${String(random.below(62)).padStart(2, '0')}:${String(random.below(62)).padStart(2, '0')}${digits === '.' ? '' : digits}Z`,
      ]
      if (random.chance(0.3)) text[random.below(text.length)] = random.pick(['0', '9', '-', ':', 'Z', '.', ' ', 'x'])
      expect(parseTime(text.join('')), text.join('')).toBe(oracle(text.join('')))
    }
  })
})

it('a click has texts of at least one character as user and action, and nothing is coerced', () => {
  expect(isClick({ user_id: 'a', action: 'b' })).toBe(true)
  expect(isClick({ user_id: ' ', action: ' ' })).toBe(true)
  for (const no of [
    null,
    1,
    'x',
    [],
    {},
    { user_id: '', action: 'b' },
    { user_id: 1, action: 'b' },
    { user_id: 'a' },
    { user_id: 'a', action: ['b'] },
    JSON.parse('{"__proto__":{"user_id":"a","action":"b"}}'),
  ]) {
    expect(isClick(no), JSON.stringify(no)).toBe(false)
  }
})

describe('clickstream', () => {
  const run = (...lines: readonly string[]): unknown[] => {
    const driver = testDriver(clickstream)
    for (const line of lines) driver.push(line)
    driver.end()
    return driver.output()
  }
  const click = (user: string, action: string, timestamp?: unknown): string =>
    JSON.stringify({ user_id: user, action, timestamp })

  it('counts each user and keeps the last action by time', () => {
    expect(
      run(click('b', 'view', '2026-01-01T00:00:02Z'), click('a', 'x'), click('b', 'buy', '2026-01-01T00:00:01Z')),
    ).toEqual([
      { user_id: 'a', click_count: 1, last_action: 'x' },
      { user_id: 'b', click_count: 2, last_action: 'view' },
    ])
  })

  it('counts a click without a readable time, which is older than any with one', () => {
    expect(
      run(click('a', 'z', '2026-02-30T00:00:00Z'), click('a', 'b', '0001-01-01T00:00:00Z'), click('a', 'zz', 5)),
    ).toEqual([{ user_id: 'a', click_count: 3, last_action: 'b' }])
  })

  it('breaks ties by the canonical text, and the last of a repeated member counts', () => {
    expect(run(click('a', 'a!'), '{"user_id":"a","action":"zz","action":"a"}')).toEqual([
      { user_id: 'a', click_count: 2, last_action: 'a' },
    ])
  })

  it('keeps hostile users apart', () => {
    const users = ['__proto__', 'constructor', '10', '\ud800', '\u{1f600}', '\ufb01', ' a', 'a', 'A']
    const rows = run(...users.map((user) => click(user, 'x'))) as { user_id: string }[]
    expect(rows.map((row) => row.user_id).sort()).toEqual([...users].sort())
    expect(timeOf({ user_id: 'a', action: 'b', timestamp: 5 })).toBeUndefined()
  })
})
