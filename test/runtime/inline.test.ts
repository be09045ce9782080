import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable, Transform } from 'node:stream'
import { pipeline as streamPipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGunzip, gzipSync } from 'node:zlib'
import {
  aggregate,
  clicks,
  count,
  execute,
  file,
  filter,
  flatMap,
  from,
  keyBy,
  lines,
  map,
  mapAsync,
  memory,
  operator,
  parseJson,
  pipeline,
  reduce,
  type Sink,
  type Source,
  type Stream,
  tap,
  through,
  toDuplex,
  union,
  validate,
} from 'millrace'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Batch } from '../../src/core/record.ts'
import { intoArray } from '../support/into-array.ts'
import { temporaryFolder } from '../support/program.ts'

const slow = (ms: number, taken: number[]): Sink<unknown> => ({
  sink: {
    kind: 'slow',
    label: 'slow',
    open: async () => ({
      write: async (output) => {
        taken.push(output.kind === 'events' ? output.values.length : output.changes.length)
        await sleep(ms)
      },
      close: async () => {},
      abort: async () => {},
    }),
  },
})

describe('a pipeline', () => {
  it('of several flows, branches and a union reads each source once and feeds every sink', async () => {
    const [evens, all, sums]: [number[], number[], unknown[]] = [[], [], []]
    let reads = 0
    const numbers = union(from(memory([1, 2, 3])), from(memory([4, 5]), { name: 'more' })).pipe(tap(() => void reads++))
    const report = await execute(
      pipeline(
        'several',
        numbers.pipe(filter((n) => n % 2 === 0)).to(memory(evens), { name: 'evens' }),
        numbers.to(memory(all), { name: 'all' }),
        numbers
          .pipe(keyBy((n) => n % 2))
          .pipe(reduce((a, b) => a + b))
          .to(intoArray(sums), { name: 'sums' }),
      ),
    )
    expect([evens, all.toSorted(), sums]).toEqual([
      [2, 4],
      [1, 2, 3, 4, 5],
      [
        { key: 0, value: 6 },
        { key: 1, value: 9 },
      ],
    ])
    expect([reads, report.read]).toEqual([5, 5])
    expect(report.written).toEqual([
      ['evens', 2],
      ['all', 5],
      ['sums', 2],
    ])
  })

  it('carries side outputs to their own sink', async () => {
    const [good, bad]: [number[], string[]] = [[], []]
    const sorted = from(memory([1, -2, 3])).pipe(
      operator<number, number>({
        name: 'sign',
        open: (emit, context) => ({ process: (n) => (n > 0 ? emit(n) : context.side('negative', n)) }),
      }),
    )
    await execute(
      pipeline(
        'sides',
        sorted.to(memory(good), { name: 'good' }),
        sorted
          .side<number>('negative')
          .pipe(map((n) => `no ${n}`))
          .to(memory(bad), { name: 'bad' }),
      ),
    )
    expect([good, bad]).toEqual([[1, 3], ['no -2']])
  })

  it('holds a source back while its sink is slow: what waits is one batch, not the input', async () => {
    const taken: number[] = []
    let made = 0
    let ahead = 0
    const counting = from(memory(Array.from({ length: 20_000 }, (_, i) => i))).pipe(
      tap(() => {
        made++
        ahead = Math.max(ahead, made - taken.reduce((a, b) => a + b, 0))
      }),
    )
    await execute(pipeline('slow', counting.to(slow(1, taken))))
    expect(made).toBe(20_000)
    expect(ahead).toBeLessThanOrEqual(1024)
  })

  it('that is stopped finishes what was read and writes it', async () => {
    const out: unknown[] = []
    const stop = new AbortController()
    const pipe = pipeline(
      'endless',
      from(clicks({ rate: 2000 }))
        .pipe(tap(() => stop.abort()))
        .pipe(keyBy(() => 'all'))
        .pipe(aggregate(count()))
        .to(intoArray(out)),
    )
    const report = await execute(pipe, { signal: stop.signal })
    expect(report.stopped).toBe(true)
    expect(out).toEqual([{ key: 'all', value: report.read }])
  })

  it('can be given other ends', async () => {
    const out: number[] = []
    const pipe = pipeline(
      'ends',
      from(memory([1]))
        .pipe(map((n) => n + 1))
        .to(memory<number>([])),
    )
    await execute(pipe, {
      sources: new Map([['memory', memory([5])]]),
      sinks: new Map([['memory', memory(out) as Sink<unknown>]]),
    })
    expect(out).toEqual([6])
    await expect(execute(pipe, { sources: new Map([['x', memory([5])]]) })).rejects.toThrow(
      "there is no source 'x'; there is 'memory'",
    )
  })
})

describe('a record that an operator cannot take', () => {
  const failing = (options: object = {}) =>
    map((n: number) => {
      if (n === 2) throw new Error('no twos')
      return n
    }, options)

  it('ends the run, with pipeline, operator, value and place', async () => {
    await expect(
      execute(
        pipeline(
          'p',
          from(memory([1, 2]))
            .pipe(failing({ name: 'twos' }))
            .to(memory<number>([])),
        ),
      ),
    ).rejects.toThrow('p › 1 twos: no twos (value: number 2) [memory@1]')
  })

  it('is skipped and counted where that was asked', async () => {
    const out: number[] = []
    const report = await execute(
      pipeline(
        'p',
        from(memory([1, 2, 3]))
          .pipe(failing({ onError: 'skip' }))
          .to(memory(out)),
      ),
    )
    expect(out).toEqual([1, 3])
    expect([report.skipped, report.skippedByCode]).toEqual([1, [['MLR_ERR_OPERATOR', 1]]])
    expect(report.firstSkipped).toEqual([{ place: 'memory@1', operator: '1 map', reason: 'no twos' }])
  })

  it('goes as a dead letter to the sink that its operator names', async () => {
    const letters: unknown[] = []
    await execute(
      pipeline(
        'p',
        from(memory([1, 2, 3]))
          .pipe(failing({ onError: memory(letters) }))
          .to(memory<number>([])),
      ),
    )
    expect(letters).toEqual([
      {
        pipeline: 'p',
        operator: '1 map',
        code: 'MLR_ERR_OPERATOR',
        reason: 'no twos',
        file: 'memory',
        line: null,
        offset: 1,
        value: 2,
      },
    ])
  })

  it('is told about where it gave nothing, a promise or no boolean', async () => {
    const run = (operator: never) =>
      execute(
        pipeline(
          'p',
          from(memory([1]))
            .pipe(operator)
            .to(intoArray([])),
        ),
      )
    await expect(run(map(() => null) as never)).rejects.toThrow(
      'p › 1 map: gave null, which would end a Node stream — drop the record with filter instead',
    )
    await expect(run(map(() => Promise.resolve(1)) as never)).rejects.toThrow('gave a promise — use mapAsync')
    await expect(run(filter((() => 'yes') as never) as never)).rejects.toThrow(
      'predicate must give a boolean; got string "yes"',
    )
    await expect(run(flatMap((() => 'text') as never) as never)).rejects.toThrow(
      'must give an array or another iterable; got string "text"',
    )
    await expect(run(keyBy((() => undefined) as never) as never)).rejects.toThrow(
      'a key must be a string, a finite number',
    )
    await expect(
      run(operator({ open: (emit) => ({ process: () => emit(undefined as never) }) }) as never),
    ).rejects.toThrow('p › 1 operator: gave undefined')
  })

  it('names the inner operator only, however many of the user’s own stand before it', async () => {
    const pass = operator<number, number>({ name: 'pass', open: (emit) => ({ process: emit }) })
    await expect(
      execute(
        pipeline(
          'p',
          from(memory([2]))
            .pipe(pass)
            .pipe(failing({ name: 'inner' }))
            .to(memory<number>([])),
        ),
      ),
    ).rejects.toThrow(/^p › 2 inner: no twos/)
  })

  it('fails an aggregate, whose half an update cannot be skipped', async () => {
    const broken = {
      name: 'broken',
      init: () => 0,
      add: () => {
        throw new Error('cannot add')
      },
      merge: (a: number) => a,
      finish: (a: number) => a,
    }
    await expect(
      execute(
        pipeline(
          'p',
          from(memory([1]))
            .pipe(keyBy((n) => n))
            .pipe(aggregate(broken))
            .to(intoArray([])),
        ),
      ),
    ).rejects.toThrow('p › 2 aggregate(broken): cannot add')
  })
})

describe('validate', () => {
  it.each([
    ['zod', z.object({ n: z.number().positive() })],
    ['valibot', v.object({ n: v.pipe(v.number(), v.minValue(1)) })],
  ] as const)('takes a schema of %s', async (_name, schema) => {
    const out: { n: number }[] = []
    const report = await execute(
      pipeline(
        'p',
        from(memory<unknown>([{ n: 1, more: 2 }, { n: -1 }, 'x']))
          .pipe(validate(schema, { onError: 'skip' }))
          .to(memory(out)),
      ),
    )
    expect(out).toEqual([{ n: 1 }])
    expect(report.skippedByCode).toEqual([['MLR_ERR_SCHEMA', 2]])
    expect(report.firstSkipped[0]?.reason).toMatch(/^n: /)
  })

  it('refuses what is no schema, and a schema that waits', async () => {
    expect(() => validate({} as never)).toThrow('validate takes a Standard Schema')
    const waits = z.string().refine(async () => true)
    await expect(
      execute(
        pipeline(
          'p',
          from(memory<unknown>(['x']))
            .pipe(validate(waits))
            .to(memory<string>([])),
        ),
      ),
    ).rejects.toThrow('the schema is asynchronous')
  })
})

describe('mapAsync', () => {
  it('keeps the order, and runs no more calls at once than it was told', async () => {
    let running = 0
    let most = 0
    const out: number[] = []
    const waits = mapAsync(
      async (n: number) => {
        most = Math.max(most, ++running)
        await sleep((n * 7) % 5)
        running--
        return n
      },
      { concurrency: 4 },
    )
    await execute(
      pipeline(
        'p',
        from(memory(Array.from({ length: 100 }, (_, i) => i)))
          .pipe(waits)
          .to(memory(out)),
      ),
    )
    expect(out).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(most).toBe(4)
  })

  it('gives a result when it is there, and tells a failure, though no further record comes', async () => {
    const given: number[] = []
    const seen = Promise.withResolvers<void>()
    const asking: Sink<number> = {
      sink: {
        kind: 'asking',
        label: 'asking',
        open: async () => ({
          write: (output) => {
            if (output.kind === 'events') given.push(...(output.values as number[]))
            seen.resolve()
          },
          close: async () => {},
          abort: async () => {},
        }),
      },
    }
    const oneThenSilence = (): Source<number> => {
      const silence = Promise.withResolvers<void>()
      async function* batches(): AsyncGenerator<Batch> {
        yield { kind: 'values', source: 'silent', partition: 'p', values: [1], positionOf: () => 0 }
        await silence.promise
      }
      const open = async () => ({ stop: () => silence.resolve(), [Symbol.asyncIterator]: batches })
      return { source: { kind: 'silent', label: 'silent', bounded: false, textLines: false, open } }
    }
    const stop = new AbortController()
    const later = mapAsync(async (n: number) => {
      await sleep(5)
      return n
    })
    const running = execute(pipeline('p', from(oneThenSilence()).pipe(later).to(asking)), { signal: stop.signal })
    await seen.promise
    expect(given).toEqual([1])
    stop.abort()
    await running
    const failing = mapAsync(async (): Promise<number> => {
      await sleep(5)
      throw new Error('late')
    })
    await expect(execute(pipeline('p', from(oneThenSilence()).pipe(failing).to(asking)))).rejects.toThrow(
      'p › 1 mapAsync: late',
    )
  })

  it('tries again, then goes by onError; the place is the record’s own', async () => {
    const tries = new Map<number, number>()
    const out: number[] = []
    const flaky = mapAsync(
      async (n: number) => {
        tries.set(n, (tries.get(n) ?? 0) + 1)
        if (n === 3 || (tries.get(n) as number) < 3) throw new Error(`no ${n}`)
        return n
      },
      { retries: 2, backoff: '1ms', onError: 'skip' },
    )
    const report = await execute(
      pipeline(
        'p',
        from(memory([1, 2, 3, 4]))
          .pipe(flaky)
          .to(memory(out)),
      ),
    )
    expect(out).toEqual([1, 2, 4])
    expect([...tries.values()]).toEqual([3, 3, 3, 3])
    expect(report.firstSkipped).toEqual([{ place: 'memory@2', operator: '1 mapAsync', reason: 'no 3' }])
    await expect(
      execute(
        pipeline(
          'p',
          from(memory([3]))
            .pipe(
              mapAsync(async () => {
                throw new Error('down')
              }),
            )
            .to(intoArray([])),
        ),
      ),
    ).rejects.toThrow('p › 1 mapAsync: down (value: number 3) [memory@0]')
  })

  it('ends a call that takes too long, and aborts its signal', async () => {
    let aborted = false
    const hangs = mapAsync(
      (_n: number, { signal }) =>
        new Promise<number>(() =>
          signal.addEventListener('abort', () => {
            aborted = true
          }),
        ),
      { timeout: '10ms' },
    )
    await expect(
      execute(
        pipeline(
          'p',
          from(memory([1]))
            .pipe(hangs)
            .to(memory<number>([])),
        ),
      ),
    ).rejects.toThrow('took longer than its timeout of 10 ms')
    expect(aborted).toBe(true)
  })
})

describe('through', () => {
  it('carries somebody else’s stream, as a boundary', async () => {
    const packed = gzipSync('{"a":1}\n{"a":2}\n')
    const out: unknown[] = []
    await execute(
      pipeline(
        'p',
        from(memory<Uint8Array>([packed.subarray(0, 9), packed.subarray(9)]))
          .pipe(through(() => createGunzip()))
          .pipe(lines())
          .pipe(parseJson())
          .to(memory(out)),
      ),
    )
    expect(out).toEqual([{ a: 1 }, { a: 2 }])
  })

  it('carries several streams as one', async () => {
    const out: string[] = []
    const packed = Buffer.from(gzipSync('a\nb').toString('base64'))
    const unbase64 = () =>
      new Transform({ transform: (chunk: Buffer, _e, done) => done(null, Buffer.from(chunk.toString(), 'base64')) })
    await execute(
      pipeline(
        'p',
        from(memory<Uint8Array>([packed]))
          .pipe(through(() => [unbase64(), createGunzip()]))
          .pipe(lines())
          .to(memory(out)),
      ),
    )
    expect(out).toEqual(['a', 'b'])
    await expect(
      execute(
        pipeline(
          'p',
          from(memory<Uint8Array>([Buffer.from('bm8=')]))
            .pipe(through(() => [unbase64(), createGunzip()]))
            .to(intoArray([])),
        ),
      ),
    ).rejects.toThrow('the stream failed: incorrect header check')
  })

  it('hands on the stream’s error', async () => {
    await expect(
      execute(
        pipeline(
          'p',
          from(memory<Uint8Array>([Buffer.from('not packed')]))
            .pipe(through(() => createGunzip()))
            .to(memory<unknown>([])),
        ),
      ),
    ).rejects.toThrow('p › 1 through: the stream failed: incorrect header check')
    const dies = () => new Transform({ objectMode: true, transform: (_n, _e, done) => done(new Error('dies')) })
    await expect(
      execute(
        pipeline(
          'p',
          from(memory([1, 2, 3]))
            .pipe(through(dies))
            .to(memory<unknown>([])),
        ),
      ),
    ).rejects.toThrow('the stream failed: dies')
  })
})

describe('operators as plain Transforms', () => {
  it('chain, typed, and parseJson cuts the lines of a byte stream itself', async () => {
    const isUser = (value: unknown): value is { user: string } =>
      typeof value === 'object' && value !== null && 'user' in value
    const bytes = Readable.from(
      [Buffer.from('{"user":"a"}\n{"us'), Buffer.from('er":"b"}\nnope\n{"x":1}\n{"user":"é"}')],
      { objectMode: false },
    )
    const users = bytes
      .pipe(parseJson())
      .pipe(filter(isUser))
      .pipe(map((value) => value.user))
    expect(await users.toArray()).toEqual(['a', 'b', 'é'])
  })

  it('take each chunk of an object stream as one text', async () => {
    expect(await Readable.from(['{"a":\n1}', '2']).pipe(parseJson()).toArray()).toEqual([{ a: 1 }, 2])
  })

  it('end a pipeline with an error that names them', async () => {
    const failing = map(
      () => {
        throw new TypeError('broken')
      },
      { name: 'mine' },
    )
    await expect(
      streamPipeline(Readable.from([1]), failing, new PassThrough({ objectMode: true }).resume()),
    ).rejects.toThrow('mine: broken (value: number 1) [record 1]')
  })
})

describe('toDuplex', () => {
  const counting = () =>
    toDuplex((input: Stream<string>) =>
      input
        .pipe(parseJson())
        .pipe(filter((value): value is { u: string } => typeof value === 'object' && value !== null && 'u' in value))
        .pipe(keyBy((value) => value.u))
        .pipe(aggregate(count())),
    )

  it('takes bytes or objects, and gives rows when its input ends', async () => {
    const bytes = Readable.from([Buffer.from('{"u":"b"}\n{"u":"a"}\n{"u"'), Buffer.from(':"b"}\n')], {
      objectMode: false,
    })
    const rows = [
      { key: 'a', value: 1 },
      { key: 'b', value: 2 },
    ]
    expect(await bytes.pipe(counting()).toArray()).toEqual(rows)
    expect(await Readable.from(['{"u":"b"}', '{"u":"a"}', '{"u":"b"}']).pipe(counting()).toArray()).toEqual(rows)
  })

  it('hands errors on, in both directions', async () => {
    const fails = toDuplex((input: Stream<number>) =>
      input.pipe(
        map((n) => {
          if (n === 3) throw new Error('three')
          return n
        }),
      ),
    )
    const endless = Readable.from(
      (function* () {
        for (let n = 0; ; n++) yield n
      })(),
    )
    await expect(streamPipeline(endless, fails, new PassThrough({ objectMode: true }).resume())).rejects.toThrow(
      'three',
    )
    expect(endless.destroyed).toBe(true)
  })

  it('may wait inside', async () => {
    const waits = toDuplex((input: Stream<number>) => input.pipe(mapAsync(async (n) => n * 2)).pipe(map((n) => n + 1)))
    expect(await Readable.from([1, 2, 3]).pipe(waits).toArray()).toEqual([3, 5, 7])
  })

  it('holds its writer back', async () => {
    let given = 0
    const endless = Readable.from(
      (function* () {
        for (;;) yield given++
      })(),
    )
    endless.pipe(toDuplex((input: Stream<number>) => input.pipe(map((n) => n))))
    await sleep(50)
    expect(given).toBeLessThan(200)
    endless.destroy()
  })
})

it('a failed run leaves no file under its final name, and no temporary one', async () => {
  const folder = temporaryFolder()
  const input = join(folder, 'in')
  writeFileSync(input, '1\n2\n3\n')
  const out = join(folder, 'out.json')
  const failing = pipeline(
    'p',
    from(file(input))
      .pipe(
        map((line) => {
          if (line === '3') throw new Error('three')
          return line
        }),
      )
      .to(file(out)),
  )
  await expect(execute(failing)).rejects.toThrow(`p › 1 map: three (value: string "3") [${input}:3]`)
  expect(readdirSync(folder)).toEqual(['in'])
  writeFileSync(out, 'before')
  await expect(execute(failing)).rejects.toThrow('three')
  expect(readFileSync(out, 'utf8')).toBe('before')
})
