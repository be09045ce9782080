import { deepStrictEqual, notStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { PassThrough, Readable, Writable } from 'node:stream'
import { pipeline as streamPipeline } from 'node:stream/promises'
import type { Operator } from '../core/operator.ts'
import { memory, stdin, stdout } from '../ends.ts'
import { frameLines } from '../formats/lines.ts'
import { mapRole } from '../hadoop/roles.ts'
import { operator } from '../operators/operator.ts'
import { parseJson } from '../operators/parse-json.ts'
import { from, pipeline } from '../plan/pipeline.ts'
import { execute } from '../run.ts'
import type { ContractCase } from './contract.ts'
import { testDriver } from './test-driver.ts'

export interface OperatorContractOptions<In, Out> {
  readonly name: string
  /** Makes a new one each time. */
  readonly make: () => Operator<In, Out>
  /** At least three values that it takes. */
  readonly input: readonly In[]
  /** What it gives for all of them. */
  readonly expected: readonly Out[]
}

/**
 * What every operator owes, as cases for any test runner: nothing for nothing; the same output as a plain Transform, fused, in the test
 * driver and in a mapper; openings that share nothing; errors that name it and the record; an early end that lets go.
 *
 * @example
 * ```ts no-run
 * const contract = operatorContract({ name: 'double', make: () => map((n: number) => n * 2), input: [1, 2, 3], expected: [2, 4, 6] })
 * for (const { title, run } of contract) test(title, run)
 * ```
 */
export function operatorContract<In, Out>({
  name,
  make,
  input,
  expected,
}: OperatorContractOptions<In, Out>): readonly ContractCase[] {
  const { kind } = make()
  const waits = kind === 'boundary'
  const asPlain = async (values: readonly In[]): Promise<unknown[]> =>
    Readable.from(values)
      .pipe(make() as unknown as PassThrough)
      .toArray()
  const inPipeline = async (values: readonly In[], used = make()): Promise<unknown[]> => {
    const out: unknown[] = []
    await execute(
      pipeline(
        'contract',
        from(memory(values))
          .pipe(used)
          .to(memory(out as Out[])),
      ),
    )
    return out
  }
  const cases: ContractCase[] = [
    {
      title: `${name}: gives the same as a plain Transform and in a pipeline`,
      run: async () => {
        deepStrictEqual(await asPlain(input), [...expected], 'as a plain Transform')
        deepStrictEqual(await inPipeline(input), [...expected], 'in a pipeline')
      },
    },
    {
      title: `${name}: gives nothing for nothing`,
      run: async () => {
        deepStrictEqual(await asPlain([]), [])
        deepStrictEqual(await inPipeline([]), [])
      },
    },
    {
      title: `${name}: takes one value`,
      run: async () => deepStrictEqual(await asPlain(input.slice(0, 1)), await inPipeline(input.slice(0, 1))),
    },
    {
      title: `${name}: one value may stand in many pipelines, and its openings share nothing`,
      run: async () => {
        const used = make()
        const [a, b] = await Promise.all([inPipeline(input, used), inPipeline(input, used)])
        deepStrictEqual(a, [...expected])
        deepStrictEqual(b, [...expected])
      },
    },
    {
      title: `${name}: once piped as a plain stream it can't stand in a pipeline`,
      run: async () => {
        const used = make()
        await Readable.from(input)
          .pipe(used as unknown as PassThrough)
          .toArray()
        await rejects(async () => from(memory(input)).pipe(used), { code: 'MLR_ERR_PLAN' })
      },
    },
    {
      title: `${name}: destroyed half-way it lets go, and pipeline tells`,
      run: async () => {
        const used = make()
        let given = 0
        const endless = Readable.from(
          (function* () {
            for (;;) yield input[given++ % input.length]
          })(),
        )
        const reader = new Writable({
          objectMode: true,
          write: (_value, _encoding, done) => done(new Error('the reader has failed')),
        })
        if (kind === 'aggregate' || expected.length === 0) {
          queueMicrotask(() => (used as unknown as PassThrough).destroy(new Error('the reader has failed')))
        }
        await rejects(streamPipeline(endless, used as unknown as PassThrough, reader), {
          message: 'the reader has failed',
        })
        ok((used as unknown as PassThrough).destroyed)
        ok(endless.destroyed)
      },
    },
    {
      title: `${name}: an error upstream of it ends the run and names where it was`,
      run: async () => {
        const failing = operator<In, In>({
          name: 'third',
          open: (emit) => {
            let n = 0
            return {
              process: (value) => {
                if (++n === 3) throw new Error('the third')
                emit(value)
              },
            }
          },
        })
        await rejects(
          execute(
            pipeline(
              'contract',
              from(memory(input))
                .pipe(failing)
                .pipe(make())
                .to(memory([] as Out[])),
            ),
          ),
          (error: Error) => {
            ok(error.message.includes('third'), error.message)
            ok(error.message.includes('@2'), error.message)
            return true
          },
        )
      },
    },
    {
      title: `${name}: has a kind and a label`,
      run: () => {
        notStrictEqual(make().label, '')
        strictEqual(make().kind, kind)
      },
    },
  ]
  if (!waits) {
    cases.push({
      title: `${name}: gives the same in the test driver, whatever the batches`,
      run: () => {
        const driver = testDriver(
          pipeline(
            'contract',
            from(memory(input))
              .pipe(make())
              .to(memory([] as Out[])),
          ),
        )
        for (const value of input) driver.push(value)
        driver.end()
        deepStrictEqual(driver.output(), [...expected])
      },
    })
  }
  // A mapper reads lines, so what is no JSON can't be given to it; an aggregate makes a cut and has a contract of its own.
  const asLines =
    input.every((value) => value !== null && typeof value !== 'undefined' && !(value instanceof Uint8Array)) &&
    kind !== 'aggregate'
  if (asLines) {
    cases.push({
      title: `${name}: gives the same in a Hadoop mapper`,
      run: async () => {
        const { plan } = pipeline(
          'contract',
          from(stdin())
            .pipe(parseJson())
            .pipe(make() as unknown as Operator<unknown, Out>)
            .to(stdout()),
        )
        const text = input.map((value) => `${JSON.stringify(value)}\n`).join('')
        const output = new PassThrough()
        const written = output.toArray()
        const lines = frameLines(Readable.from([Buffer.from(text)]), { source: 'stdin', partition: 'stdin' })
        await mapRole({ plan, flow: plan.flows[0]!, step: 1 }, lines, output)
        output.end()
        const got = Buffer.concat((await written) as Buffer[]).toString()
        strictEqual(got, expected.map((value) => `${JSON.stringify(value)}\n`).join(''))
      },
    })
  }
  return cases
}
