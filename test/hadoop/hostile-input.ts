import { Random } from 'millrace/testing'

const IDS = [
  'ann',
  'bob',
  '__proto__',
  'constructor',
  'toString',
  '10',
  '',
  ' ',
  'a\tb',
  'a\nb',
  'a\\b',
  '\ud800',
  '\u{1f600}',
  '\ufb01',
  '\u2028',
  'x'.repeat(300),
  'é',
  '[1]',
  '"q"',
] as const
const ACTIONS = ['view', 'buy', 'a!', 'a', '\u{1f600}', '\uffee', ''] as const
const TIMES = [
  '2026-01-01T00:00:00Z',
  '2026-01-01T00:00:00.5Z',
  '2026-02-30T00:00:00Z',
  '2025-12-31T23:59:59.999Z',
  '',
  'x',
  5,
  null,
] as const

const BROKEN: readonly (string | Buffer)[] = [
  'oops',
  '{',
  '{}',
  '[]',
  'null',
  '1',
  '"x"',
  '{"user_id":"a","action":"b"} x',
  '{"user_id":"a"}{"user_id":"b"}',
  '{"user_id":1,"action":"x"}',
  '\ufeff{"user_id":"ann","action":"view"}',
  '{"user_id":"ann","action":"view","user_id":"bob"}',
  '{"__proto__":{"user_id":"ann","action":"view"}}',
  '{"user_id":"ann","action":"vi\u0000ew"}',
  '   ',
  '\t',
  '\r',
  '',
  Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]),
  Buffer.from([0xed, 0xa0, 0x80]),
  '{"user_id":"ann","action":"view"},',
  '{"user_id":"ann","action":{}',
  '[{"user_id":"ann","action":"view"}]',
  '{"user_id":"ann","action":["view"]}',
  '['.repeat(5000),
  `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`,
  '{"user_id":"ann","action":"view","n":1e999}',
  '{"user_id":"ann","action":"view","n":-0}',
  '{"user_id":"\\ud800","action":"\\udfff"}',
]

/** Lines that are clicks and lines that are nearly clicks, in all kinds of line ends. */
export function hostileInput(seed: number, lines: number): Buffer {
  const random = new Random(seed)
  const parts: Buffer[] = random.chance(0.3) ? [Buffer.from('\ufeff')] : []
  for (let i = 0; i < lines; i++) {
    parts.push(
      random.chance(0.15)
        ? Buffer.from(random.pick(BROKEN) as string)
        : Buffer.from(
            JSON.stringify({
              user_id: random.pick(IDS),
              action: random.pick(ACTIONS),
              timestamp: random.pick(TIMES),
              n: random.chance(0.1) ? undefined : random.below(1000) / 10,
            }),
          ),
    )
    parts.push(
      Buffer.from(
        i === lines - 1 && random.chance(0.5) ? '' : random.pick(['\n', '\n', '\n', '\r\n', '\n\n', '\r\r\n']),
      ),
    )
  }
  return Buffer.concat(parts)
}
