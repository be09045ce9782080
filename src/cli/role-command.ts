import { posix } from 'node:path'
import { MillraceError, show } from '../core/errors.ts'
import { readSplit, readStdin } from '../hadoop/role-input.ts'
import { reportRole } from '../hadoop/role-report.ts'
import { combineRole, mapRole, type Role, reduceRole } from '../hadoop/roles.ts'
import type { Pipeline } from '../plan/pipeline.ts'
import { findInputFiles } from '../sources/input-files.ts'
import { FORMAT_OPTIONS, formatName, parseOptions, wholeNumber } from './arguments.ts'
import { chooseFlow } from './choose-flow.ts'

const ROLES = { map: mapRole, combine: combineRole, reduce: reduceRole } as const

/** `map`, `combine`, `reduce`: one role over stdin and stdout. */
export async function roleCommand(
  name: keyof typeof ROLES,
  { plan }: Pipeline,
  argv: readonly string[],
): Promise<void> {
  const values = parseOptions(
    argv,
    {
      flow: { type: 'string' },
      step: { type: 'string' },
      source: { type: 'string' },
      'source-of': { type: 'string', multiple: true },
      input: { type: 'string' },
      split: { type: 'string' },
      'with-keys': { type: 'boolean' },
      ...FORMAT_OPTIONS,
    },
    name,
  )
  const wanted = values.source ?? sourceOfInput(values['source-of'] ?? [], process.env.mapreduce_map_input_file)
  const source = wanted === undefined ? undefined : plan.sources.find((source) => source.name === wanted)
  if (wanted !== undefined && source === undefined) {
    throw new MillraceError(
      'MLR_ERR_USAGE',
      `there is no source '${wanted}'; there is ${plan.sources.map((s) => `'${s.name}'`).join(', ')}`,
    )
  }
  const format = formatName(values.format)
  const role: Role = {
    plan,
    flow: chooseFlow(plan, values.flow),
    step: wholeNumber('--step', values.step, 1) ?? 1,
    ...(source === undefined ? {} : { source }),
    ...(format === undefined ? {} : { format }),
    ...(values.columns === undefined ? {} : { columns: values.columns.split(',') }),
    withKeys: values['with-keys'] === true,
  }
  const sourceName = source?.name ?? plan.sources[0]?.name ?? 'stdin'
  const input =
    values.input === undefined ? readStdin(sourceName) : await splitOf(values.input, values.split, sourceName)
  reportRole(name, await ROLES[name](role, input, process.stdout))
}

/** Which source a mapper's file belongs to: of `NAME=PATH` the one whose path, or pattern, it lies under. */
export function sourceOfInput(given: readonly string[], input: string | undefined): string | undefined {
  if (given.length === 0) return undefined
  const path = (input ?? '').replace(/^[a-z]+:(\/\/[^/]*)?/, '')
  for (const text of given) {
    const [, name, pattern = ''] = /^([^=]+)=(.*)$/.exec(text) ?? []
    const plain = pattern.replace(/^[a-z]+:(\/\/[^/]*)?/, '').replace(/\/$/, '')
    if (path === plain || path.startsWith(`${plain}/`)) return name
    if (posix.matchesGlob(path, plain) || posix.matchesGlob(posix.dirname(path), plain)) return name
  }
  throw new MillraceError('MLR_ERR_USAGE', `the input ${show(input)} lies under none of ${given.join(', ')}`)
}

async function splitOf(path: string, split: string | undefined, source: string): Promise<ReturnType<typeof readSplit>> {
  const [file] = await findInputFiles(path)
  const [, start, end] = /^(\d+):(\d+)$/.exec(split ?? `0:${Number.MAX_SAFE_INTEGER}`) ?? []
  if (start === undefined || end === undefined)
    throw new MillraceError('MLR_ERR_USAGE', `--split takes START:END in bytes; got ${show(split)}`)
  return readSplit({ file: file!, start: Number(start), end: Number(end) }, source)
}
