import { describe, expect, it } from 'vitest'
import { compareBytes } from '../../src/core/canonical.ts'
import { checkKey, type Key, KeyMap, keyText, parseKey, sortByKey } from '../../src/core/key.ts'
import { Random } from '../../src/testing/random.ts'

const hostile: readonly Key[] = [
  '__proto__',
  'constructor',
  'toString',
  '',
  ' ',
  '10',
  10,
  true,
  'true',
  '\ud800',
  '\udfff',
  '\u{1f600}',
  '\uffee',
  'é',
  'a\tb',
  'a\nb',
  [],
  ['a'],
  [['a']],
  ['a', 'b'],
  ['a,b'],
  [10],
  ['10'],
  0.1,
  -5,
  1e21,
]

describe('a key', () => {
  it('has a text of its own, without TAB, CR or LF, and comes back from it', () => {
    const texts = hostile.map(keyText)
    expect(new Set(texts).size).toBe(hostile.length)
    for (const [i, text] of texts.entries()) {
      expect(text).not.toMatch(/[\t\r\n]/)
      expect(parseKey(text)).toEqual(hostile[i])
      expect(Buffer.from(text).toString()).toBe(text)
    }
  })

  it('is refused, with what was got, where it is none', () => {
    for (const [bad, got] of [
      [undefined, 'undefined'],
      [null, 'null'],
      [Number.NaN, 'number NaN'],
      [{ a: 1 }, 'object {"a":1}'],
      [1n, 'bigint 1'],
      [['a', null], 'null'],
    ] as const) {
      expect(() => checkKey(bad)).toThrow(`got ${got}`)
    }
    expect(Object.is(checkKey(-0), 0)).toBe(true)
  })

  it('finds its entry and no other in a map', () => {
    const map = new KeyMap<number>()
    for (const [i, key] of hostile.entries()) {
      expect(map.get(key)).toBeUndefined()
      map.add(key, i)
    }
    expect(map.size).toBe(hostile.length)
    for (const [i, key] of hostile.entries()) expect(map.get(JSON.parse(JSON.stringify(key)) as Key)).toBe(i)
    map.clear()
    expect([map.size, map.get('a'), map.get(['a'])]).toEqual([0, undefined, undefined])
  })

  it('sorts by the bytes of its text, as `LC_ALL=C sort` does', () => {
    const random = new Random(7)
    const expected = hostile.map(keyText).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    for (let i = 0; i < 20; i++)
      expect(sortByKey(random.shuffle(hostile).map((key) => ({ key }))).map(({ key }) => keyText(key))).toEqual(
        expected,
      )
  })
})

it('compareBytes orders as Buffer.compare does', () => {
  const random = new Random(3)
  const alphabet = [
    'a',
    'b',
    '\u007f',
    '\u0080',
    '\u07ff',
    '\u0800',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{10ffff}',
  ]
  for (let i = 0; i < 5000; i++) {
    const text = (): string => Array.from({ length: random.below(4) }, () => random.pick(alphabet)).join('')
    const [a, b] = [text(), text()]
    expect(Math.sign(compareBytes(a, b)), JSON.stringify([a, b])).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
  }
})
