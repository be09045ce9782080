import { MillraceError } from '../core/errors.ts'
import { cutOf, cutsOf, type Plan, type PlannedFlow, type PlannedOperator, sourcesOf } from '../plan/plan.ts'

/** One streaming job of a flow: what Hadoop is told about it. */
export interface StreamingStep {
  /** For people: `step 1 of 2`. */
  readonly label: string
  readonly inputs: readonly string[]
  readonly output: string
  /** Generic options (`-D name=value`), then the streaming ones. */
  readonly arguments: readonly string[]
}

export interface StreamingOptions {
  readonly plan: Plan
  readonly flow: PlannedFlow
  /** By source: paths and patterns, as Hadoop takes them. */
  readonly inputs: ReadonlyMap<string, readonly string[]>
  readonly output: string
  /** What starts a role on a worker: words, without the role's own. */
  readonly command: readonly string[]
  readonly reducers: number
  /** Of the user: `name=value`. */
  readonly properties: readonly string[]
  /** Added to the last role: `--format`, `--columns`. */
  readonly roleOptions?: readonly string[]
  /** Stop before the reducers of the first cut: its merged accumulators are the output. */
  readonly accumulatorsOf?: PlannedOperator
}

/**
 * The streaming jobs of a flow, one for each cut. Hadoop's own combiner is not used: the mapper combines as it goes, and a combiner would be
 * given the form of the reducer's output, in which rows have no key.
 */
export function streamingSteps(options: StreamingOptions): readonly StreamingStep[] {
  const { plan, flow, inputs, output, accumulatorsOf } = options
  const cuts = accumulatorsOf === undefined ? cutsOf(plan, flow) : [accumulatorsOf]
  const between = (step: number): string => `${output}.step-${step}`
  const all = [...inputs.values()].flat()
  if (cuts.length === 0) {
    const mapper = words(options, ['map', ...sourceWords(options), '--flow', flow.name, ...(options.roleOptions ?? [])])
    return [
      {
        label: 'mappers only',
        inputs: all,
        output,
        arguments: [
          ...generic(options, 0, ['stream.map.output=keyonlytext']),
          ...ends(all, output),
          ...['-mapper', mapper, '-reducer', 'NONE'],
        ],
      },
    ]
  }
  return cuts.map((cut, i) => {
    const step = i + 1
    const last = step === cuts.length
    const from = i === 0 ? all : [between(i)]
    const to = last ? output : between(step)
    const ordered = cutOf(cut) === 'ordered'
    const roleOf = (role: string, more: readonly string[]): string =>
      words(options, [role, '--flow', flow.name, '--step', String(step), ...more])
    const mapper = i === 0 ? roleOf('map', sourceWords(options)) : 'cat'
    const reducer =
      accumulatorsOf === undefined ? roleOf('reduce', last ? (options.roleOptions ?? []) : []) : roleOf('combine', [])
    return {
      label: cuts.length === 1 ? 'one step' : `step ${step} of ${cuts.length}`,
      inputs: from,
      output: to,
      arguments: [
        ...generic(options, options.reducers, [
          // A row has no key: without this Hadoop would add a tab to it.
          ...(last && accumulatorsOf === undefined ? ['stream.reduce.output=keyonlytext'] : []),
          // Sorted by all of the line, and told apart by its key.
          ...(ordered
            ? ['stream.num.map.output.key.fields=4', 'mapreduce.partition.keypartitioner.options=-k1,1']
            : []),
        ]),
        ...(ordered ? ['-partitioner', 'org.apache.hadoop.mapred.lib.KeyFieldBasedPartitioner'] : []),
        ...ends(from, to),
        ...['-mapper', mapper, '-reducer', reducer],
      ],
    }
  })
}

function generic({ properties, plan }: StreamingOptions, reducers: number, own: readonly string[]): readonly string[] {
  const all = [
    `mapreduce.job.name=millrace ${plan.name}`,
    `mapreduce.job.reduces=${reducers}`,
    // Every property of a job goes to its processes as a variable; long ones together can be too long for that.
    'stream.jobconf.truncate.limit=20000',
    // Else a namenode that is started again in the middle fails the job.
    'dfs.client.retry.policy.enabled=true',
    ...own,
    ...properties,
  ]
  return all.flatMap((property) => ['-D', property])
}

function ends(inputs: readonly string[], output: string): readonly string[] {
  return [...inputs.flatMap((input) => ['-input', input]), '-output', output]
}

/** Which source a mapper's file belongs to: with several it is told by the file's path. */
function sourceWords({ plan, flow, inputs }: StreamingOptions): readonly string[] {
  const sources = sourcesOf(plan, flow)
  if (sources.length === 1) return ['--source', sources[0]?.name as string]
  return sources.flatMap(({ name }) => (inputs.get(name) ?? []).flatMap((input) => ['--source-of', `${name}=${input}`]))
}

/** Hadoop splits a command at blanks; quotes group, and there is no escape. */
function words({ command }: StreamingOptions, more: readonly string[]): string {
  return [...command, ...more]
    .map((word) => {
      if (/^[^\s'"]+$/.test(word)) return word
      if (!word.includes("'")) return `'${word}'`
      if (!word.includes('"')) return `"${word}"`
      throw new MillraceError(
        'MLR_ERR_USAGE',
        `${word} has both kinds of quotes: Hadoop can't be given it as one word of a command — rename it`,
      )
    })
    .join(' ')
}
