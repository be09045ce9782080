import packageJson from '../../package.json' with { type: 'json' }

export const VERSION = `millrace ${packageJson.version}`

const COMMANDS = ['run', 'describe', 'map', 'combine', 'reduce', 'batch', 'hadoop', 'verify', 'checkpoints'] as const
export type Command = (typeof COMMANDS)[number]

export function isCommand(text: string): text is Command {
  return (COMMANDS as readonly string[]).includes(text)
}

export const HELP = (program: string): string => `Usage: ${program} [command] [options]

Commands:
  run       run it as a stream (the default)
  batch     run it as a MapReduce job on this machine
  hadoop    run it as a streaming job on a Hadoop cluster
  verify    run it as both and compare the bytes
  describe  show the plan
  checkpoints
            list, show or verify what a run has left
  map, combine, reduce
            play one role over stdin and stdout: what Hadoop Streaming calls

Every command has --help. --version tells the version.
Exit codes: 0 done, 1 the run failed, 2 wrong usage, 3 another process has
taken the pipeline over.
`

const ENDS = `  --from [NAME=]SOURCE  a file, folder or 'glob' (.gz, .bz2, .zst: unpacked),
                        - for stdin, clicks:?count=1000&rate=100&seed=1,
                        kafka://HOST:9092/TOPIC, hdfs://NAMENODE:9870/PATH`

const FORMAT = `  --format FORMAT       json, tsv, lines, table
  --columns A,B,C       which members, for tsv and table`

const ROLE = `  --flow NAME           which flow, where the pipeline has several
  --step N              which of its aggregates, from 1 (default 1)`

export function helpOf(command: Command): string {
  return `${
    {
      run: `run: as a stream

${ENDS}
  --to [NAME=]SINK      a file (packed by .gz, .zst), - for stdout,
                        sqlite:FILE?table=NAME,
                        mongodb://HOST/DATABASE?collection=NAME,
                        kafka://HOST:9092/TOPIC, hdfs://NAMENODE:9870/PATH
${FORMAT}
  --sort COLUMN         for table: numbers greatest first, texts in order
  --limit N             for table: how many rows (default 20)
  --rotate HOW          events to many files, closed when they have so many
                        events (10000), bytes (64MB), or are so old (10m)
  --live                send rows as they change, not only at the end
  --tick DURATION       time between sends of changed rows (default 250ms)
  --dead-letter FILE    keep the records that were skipped, as JSON lines
  --follow              do not end at the end of files: wait for more lines,
                        and for more files in a folder
  --until-end           end a topic where its end is now
  --checkpoint FOLDER   keep checkpoints: a run that is cut off goes on where
                        it was; into sqlite and files exactly once. With
                        --follow the default is .millrace/PIPELINE, where
                        all that is read and written can take part
  --no-checkpoint       keep none
  --retry-for DURATION  how long a server that went away is waited for
                        (default: for ever)
  --until-idle DURATION end when nothing has come for so long
  --fresh               read everything again, as a new generation
  --take-over           do not wait for an owner that may live
  --drop-state NAME     give up a state that no longer fits
  --quiet               say nothing on stderr but errors

Without --from and --to the ends are those that the pipeline declares.
Ctrl-C finishes what was read and writes it; a second one exits at once.`,
      batch: `batch: as a MapReduce job, in processes on this machine

  --input [NAME=]PATH   a file, folder or 'glob' (.gz, .bz2, .zst: unpacked)
  --output FOLDER       gets part-00000 … and _SUCCESS; must not exist.
                        Without it the rows go to stdout, merged by key
  --splits N            how many mappers share the input (default: the cores)
  --reducers N          default 2
  --combine N           combiners after each mapper (default 0: the mapper
                        combines as it goes)
  --flow NAME           which flow, where the pipeline has several
${FORMAT}
  --quiet               say nothing on stderr but errors`,
      hadoop: `hadoop: as Hadoop Streaming jobs, on YARN

  --input [NAME=]PATH   in HDFS: a file, folder or 'glob', several with commas;
                        /clicks or hdfs://NAMENODE:9870/clicks
  --output FOLDER       gets part-00000 … and _SUCCESS; must not exist
  --checkpoint URL      no output: the result becomes the first checkpoint of
                        the live pipeline, and goes to its sinks. --input is
                        the folder of an archive; the stream goes on where
                        that ends. --fresh where there are checkpoints already
  --to [NAME=]SINK      with --checkpoint: another sink than the declared one
  --reducers N          default 1
  --node COMMAND        what starts Node on a worker (default node); 'ship'
                        sends this one along
  --local               Hadoop's own local runner; paths may be file:PATH
  -D NAME=VALUE         a property of the jobs
  --flow NAME           which flow, where the pipeline has several
${FORMAT}
  --quiet               say nothing on stderr but errors

Submits with the hadoop launcher of the PATH or HADOOP_HOME, else with java,
MILLRACE_HADOOP_JARS (a folder of jars) and HADOOP_CONF_DIR. The namenode and
YARN's manager are those of MILLRACE_WEBHDFS and MILLRACE_YARN. Ctrl-C kills
the job.`,
      verify: `verify: as a stream and as MapReduce jobs, and compare the bytes

  --input [NAME=]PATH   a file, folder or 'glob' (.gz, .bz2, .zst: unpacked)
  --flow NAME           only this flow
  --splits N --reducers N --combine N
                        only one job, of this shape. Default: two jobs,
                        2 × 2 without combiner and 5 × 3 with two

Exit code 1 if they differ: the first difference is shown.`,
      checkpoints: `checkpoints [list|show|verify]: what a run has left

  --checkpoint FOLDER   the folder (default .millrace/PIPELINE)
  --key KEY             for show: the state of one key

Only reads.`,
      describe: `describe: the plan

  --mermaid             as a Mermaid flowchart`,
      map: `map: the mapper. Lines on stdin, key TAB accumulator on stdout

${ROLE}
  --source NAME         which source stdin stands for, where it has several
  --input FILE --split START:END
                        read this part of a file, not stdin`,
      combine: `combine: the combiner. Sorted key TAB accumulator in, the same out

${ROLE}`,
      reduce: `reduce: the reducer. Sorted key TAB accumulator on stdin, rows on stdout

${ROLE}
${FORMAT}
  --with-keys           write key TAB row, to merge parts by key

For example, with no Hadoop at all:
  … map < clicks.ndjson | LC_ALL=C sort | … reduce`,
    }[command]
  }
`
}
