import { describe, expect, it } from 'vitest'
import { isDeeperThan, parseJsonText, parseObjectLines } from '../../src/formats/json.ts'
import { Random } from '../../src/testing/random.ts'

/** What line by line gives, or undefined if any line is not one JSON text. */
function oneByOne(text: string): unknown[] | undefined {
  try {
    return text.split('\n').map((line) => JSON.parse(line) as unknown)
  } catch {
    return undefined
  }
}

describe('many lines at once', () => {
  it('are parsed where they are objects without arrays', () => {
    expect(parseObjectLines('{"a":1}\n{"b":{"c":2}}\n{}')).toEqual([{ a: 1 }, { b: { c: 2 } }, {}])
    expect(parseObjectLines('{"a":1}\r\n{"b":2}')).toEqual([{ a: 1 }, { b: 2 }])
  })

  it.each([
    ['{"a":{}\n{"b":1}}', 'an object that goes over a line end'],
    ['{"a":[{}\n{}]}\n{},{}', 'an array that swallows a line end, made up for by two values in a line'],
    ['{"a":"}\n{"}\n{},{}', 'a string that swallows a line end'],
    ['{"a":1},{"b":2}', 'two values in one line'],
    ['{"a":1},\n{"b":2}', 'a comma at the end of a line'],
    ['{"a":1\n,"b":2}', 'a line end between members'],
    ['{"a":1}\n\n{"b":2}', 'a blank line'],
    ['{"a":1}\n{"b":2} ', 'a space at the end'],
    ['{"a":1}\nnull\n{"b":2}', 'a line that is no object'],
    ['', 'nothing'],
  ])('%j are left to be parsed one by one: %s', (text) => {
    expect(parseObjectLines(text)).toBeUndefined()
  })

  it('give exactly what one by one gives, or nothing, whatever stands next to each other', () => {
    const pieces = [
      '{"a":1}',
      '{',
      '}',
      '[',
      ']',
      '{}',
      ',',
      '"',
      '\n',
      '\r',
      '\r\n',
      ' ',
      ':',
      '1',
      '"a"',
      '{"a":"x}',
      '}\n{',
      '"a":{',
      'null',
      '\\"',
      '{"b":[',
      '{"__proto__":{}}',
    ]
    let bulk = 0
    for (let seed = 0; seed < 100_000; seed++) {
      const random = new Random(seed)
      const text = Array.from({ length: 1 + random.below(7) }, () => random.pick(pieces)).join('')
      const values = parseObjectLines(text)
      if (values === undefined) continue
      bulk++
      expect(values, JSON.stringify(text)).toEqual(oneByOne(text))
    }
    expect(bulk).toBeGreaterThan(500)
  })
})

describe('one text', () => {
  it('is refused with a code where it is not JSON, not UTF-8 or too deep', () => {
    expect(() => parseJsonText('{"a":', 10)).toThrow(expect.objectContaining({ code: 'MLR_ERR_JSON' }))
    expect(() => parseJsonText('1 2', 10)).toThrow(expect.objectContaining({ code: 'MLR_ERR_JSON' }))
    expect(() => parseJsonText(Buffer.from([0x22, 0xff, 0x22]), 10)).toThrow(
      expect.objectContaining({ code: 'MLR_ERR_LINE_UTF8' }),
    )
    expect(() => parseJsonText('['.repeat(100_000) + ']'.repeat(100_000), 1000)).toThrow(
      expect.objectContaining({ code: 'MLR_ERR_JSON_TOO_DEEP' }),
    )
    expect(parseJsonText('['.repeat(1000) + ']'.repeat(1000), 1000)).toBeDefined()
  })

  it('keeps an own member __proto__ and the last of repeated members', () => {
    expect(Object.keys(parseJsonText('{"__proto__":1}', 10) as object)).toEqual(['__proto__'])
    expect(parseJsonText('{"a":1,"a":2}', 10)).toEqual({ a: 2 })
  })

  it('is measured without the brackets in its strings', () => {
    expect(isDeeperThan('["[[[[\\"[[["]', 2)).toBe(false)
    expect(isDeeperThan('[["\\\\"],[[1]]]', 2)).toBe(true)
    expect(isDeeperThan('[[1]]', 2)).toBe(false)
  })
})
