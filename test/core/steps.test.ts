import { describe, expect, it } from 'vitest'
import type { OperatorContext } from '../../src/core/operator.ts'
import { Cursor } from '../../src/core/record.ts'
import { type BoundStep, fuseSteps, type Step, walkSteps } from '../../src/core/steps.ts'
import { Random } from '../../src/testing/random.ts'

const FNS: readonly Step[] = [
  { type: 'map', fn: (n: number) => n + 1 },
  { type: 'map', fn: (n: number) => n * 3 },
  { type: 'map', fn: (n: number) => (n % 5 === 0 ? null : n) },
  { type: 'map', fn: (n: number) => (n % 7 === 0 ? undefined : n) },
  { type: 'filter', fn: (n: number) => n % 3 !== 0 },
  { type: 'filter', fn: (n: number) => (n % 11 === 0 ? 'yes' : true) },
  { type: 'tap', fn: (n: number) => n },
  {
    type: 'tap',
    fn: (n: number) => {
      if (n % 13 === 0) throw new Error(`no ${n}`)
    },
  },
]

describe('steps fused by generated code', () => {
  it('give, and refuse, exactly what they do one after the other', () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed)
      const chosen = Array.from({ length: 1 + random.below(10) }, () => random.pick(FNS))
      const run = (fuse: typeof fuseSteps): string[] => {
        const seen: string[] = []
        const bound: BoundStep[] = chosen.map((step, at) => ({
          step,
          context: {
            record: new Cursor(),
            reject: (error: Error, value: unknown) => void seen.push(`${at} ${error.message} ${value}`),
          } as unknown as OperatorContext,
        }))
        const take = fuse(bound, (value) => void seen.push(`out ${value}`))
        for (let n = 0; n < 100; n++) take(n)
        return seen
      }
      expect(run(fuseSteps), `seed ${seed}`).toEqual(run(walkSteps))
    }
  })

  it('let an error from further on pass through, untouched', () => {
    const context = { record: new Cursor(), reject: () => expect.unreachable() } as unknown as OperatorContext
    for (const fuse of [fuseSteps, walkSteps]) {
      const take = fuse([{ step: FNS[0] as Step, context }], () => {
        throw new Error('further on')
      })
      expect(() => take(1)).toThrow('further on')
    }
  })
})
