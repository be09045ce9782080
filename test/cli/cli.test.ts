import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ended, program, ROOT, shell, start, temporaryFolder } from '../support/program.ts'

const CLICKSTREAM = join(ROOT, 'test/support/clickstream.ts')
const ACCESS = join(ROOT, 'pipelines/access-log.ts')
const MILLRACE = join(ROOT, 'src/cli/millrace.ts')
const CLICKS = '{"user_id":"b","action":"view"}\nnope\n{"user_id":"a","action":"buy"}\n'
const ROWS =
  '{"user_id":"a","click_count":1,"last_action":"buy"}\n{"user_id":"b","click_count":1,"last_action":"view"}\n'

describe('a pipeline module as a program', () => {
  it('runs with stdin and stdout, data only on stdout', async () => {
    const out = await program([CLICKSTREAM, '--from', '-', '--to', '-'], { input: CLICKS })
    expect([out.code, out.stdout]).toEqual([0, ROWS])
    expect(out.stderr).toMatch(/^clickstream: stdin → parseJson → filter → keyBy → aggregate → map → stdout\n/)
    expect(out.stderr).toContain('read 3 records, skipped 1, wrote 2 to stdout (json), in ')
    expect(out.stderr).toContain('stdin:2  parseJson: not JSON:')
  })

  it('says nothing but errors with --quiet', async () => {
    const out = await program([CLICKSTREAM, 'run', '--from', '-', '--quiet'], { input: CLICKS })
    expect([out.code, out.stdout, out.stderr]).toEqual([0, ROWS, ''])
  })

  it('writes tsv and tables', async () => {
    const tsv = await program(
      [CLICKSTREAM, '--from', '-', '--format', 'tsv', '--columns', 'click_count,user_id', '--quiet'],
      { input: CLICKS },
    )
    expect(tsv.stdout).toBe('1\ta\n1\tb\n')
    const table = await program(
      [CLICKSTREAM, '--from', '-', '--format', 'table', '--sort', 'user_id', '--limit', '1', '--quiet'],
      { input: CLICKS },
    )
    expect(table.stdout).toBe(
      'user_id  click_count  last_action\n───────  ───────────  ───────────\na                  1  buy\n… and 1 more rows\n',
    )
  })

  it('reads globs, packed files and folders, and writes files', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'in'))
    writeFileSync(join(folder, 'in/1.ndjson'), CLICKS)
    writeFileSync(join(folder, 'in/2.ndjson.gz'), gzipSync(CLICKS))
    for (const from of ['in', 'in/*', 'in/{1.ndjson,2*}']) {
      const out = await program([CLICKSTREAM, '--from', from, '--to', 'out.json', '--quiet'], { cwd: folder })
      expect(out).toEqual({ code: 0, signal: null, stdout: '', stderr: '' })
      expect(readFileSync(join(folder, 'out.json'), 'utf8')).toBe(ROWS.replaceAll('"click_count":1', '"click_count":2'))
    }
  })

  it('keeps what it skipped with --dead-letter, by file, line, offset, reason and bytes', async () => {
    const folder = temporaryFolder()
    writeFileSync(
      join(folder, 'in'),
      Buffer.concat([
        Buffer.from('{"user_id":"a","action":"b"}\r\n\r\nno\r\n'),
        Buffer.from([0x22, 0xff, 0x22, 0x0a]),
        Buffer.from('null\n['),
      ]),
    )
    const out = await program([CLICKSTREAM, '--from', 'in', '--dead-letter', 'bad.ndjson'], { cwd: folder })
    expect(out.stderr).toContain('skipped 3, kept in bad.ndjson; the first:')
    expect(out.stderr).toContain('1 parseJson: null texts: 1')
    const letters = readFileSync(join(folder, 'bad.ndjson'), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(
      letters.map(({ file, line, offset, raw, raw_base64, code }) => [file, line, offset, raw, raw_base64, code]),
    ).toEqual([
      ['in', 3, 32, 'no', undefined, 'MLR_ERR_JSON'],
      ['in', 4, 36, undefined, 'Iv8i', 'MLR_ERR_LINE_UTF8'],
      ['in', 6, 45, '[', undefined, 'MLR_ERR_JSON'],
    ])
    expect(letters.every(({ reason }) => typeof reason === 'string' && reason !== '')).toBe(true)
  })

  it('runs where no code may be made from strings', async () => {
    const out = await program(['--disallow-code-generation-from-strings', CLICKSTREAM, '--from', '-', '--quiet'], {
      input: CLICKS,
    })
    expect([out.code, out.stdout, out.stderr]).toEqual([0, ROWS, ''])
  })

  it('shows a live table as it is at the end', async () => {
    const out = await program([
      CLICKSTREAM,
      '--from',
      'clicks:?count=300&rate=3000&users=3',
      '--live',
      '--tick',
      '5ms',
      '--format',
      'table',
      '--quiet',
    ])
    const counts = out.stdout
      .split('\n')
      .slice(2, -1)
      .map((line) => Number(line.split(/ +/)[1]))
    expect(counts.length).toBeLessThanOrEqual(3)
    expect(counts.reduce((a, b) => a + b, 0)).toBe(300)
  })

  it('sends changed rows at ticks with --live, and ends on the same table', async () => {
    const child = start([CLICKSTREAM, '--from', '-', '--live', '--tick', '20ms', '--quiet'])
    const done = ended(child)
    const seen = (text: string): Promise<void> =>
      new Promise((resolve) => {
        let all = ''
        child.stdout.on('data', (chunk: Buffer) => {
          all += chunk
          if (all.includes(text)) resolve()
        })
      })
    const first = seen('"click_count":1')
    child.stdin.write('{"user_id":"a","action":"view"}\n')
    await first
    const second = seen('"click_count":2')
    child.stdin.write('{"user_id":"a","action":"buy"}\n')
    await second
    child.stdin.end()
    expect((await done).stdout).toBe(
      '{"user_id":"a","click_count":1,"last_action":"view"}\n{"user_id":"a","click_count":2,"last_action":"view"}\n',
    )
  })
})

describe('millrace COMMAND MODULE', () => {
  it('does the same', async () => {
    const out = await program([MILLRACE, 'run', 'test/support/clickstream.ts', '--from', '-', '--quiet'], {
      input: CLICKS,
    })
    expect([out.code, out.stdout, out.stderr]).toEqual([0, ROWS, ''])
    const described = await program([MILLRACE, 'describe', 'test/support/clickstream.ts'])
    expect(described.stdout).toBe((await program([CLICKSTREAM, 'describe'])).stdout)
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'in'), CLICKS)
    const verified = await program([MILLRACE, 'verify', 'test/support/clickstream.ts', '--input', join(folder, 'in')])
    expect(verified.stdout).toContain('same bytes as the batch engine: yes (2 rows')
  })

  it.each([
    [[], 0, 'Usage: millrace COMMAND MODULE'],
    [['--version'], 0, 'millrace 0.'],
    [['run', '--help'], 0, '--dead-letter FILE'],
    [['rnu', 'x.ts'], 2, "there is no command 'rnu'; see millrace --help"],
    [['run'], 2, 'run needs a module'],
    [['run', 'none.ts'], 2, 'there is no module none.ts'],
    [['run', 'pipelines/click.ts'], 2, 'pipelines/click.ts exports no pipeline'],
    [['run', 'test/support/clickstream.ts', '--pipeline', 'x'], 2, "exports no pipeline 'x'; it exports 'clickstream'"],
  ])('%j', async (args, code, text) => {
    const out = await program([MILLRACE, ...args])
    expect(out.stdout + out.stderr).toContain(text)
    expect(out.code).toBe(code)
  })
})

describe('wrong usage is exit code 2, one line that says what', () => {
  it.each([
    [['frobnicate'], "there is no command 'frobnicate'"],
    [['--form', 'x'], "run: Unknown option '--form'"],
    [['run', 'x.ndjson'], "run: Unexpected argument 'x.ndjson'"],
    [['--format', 'xml'], '--format is one of json, tsv, table, lines; got string "xml"'],
    [['--sort', 'a'], '--sort and --limit are for --format table'],
    [['--format', 'table', '--limit', '0'], '--limit takes a whole number of at least 1; got string "0"'],
    [['--tick', 'soon'], 'a duration is a number and ms, s, m, h or d, as \'30s\'; got string "soon"'],
    [['--from', 'amqp://u:p@h/t'], "amqp://u:***@h/t: this version has no ends for 'amqp:'"],
    [['--from', 'kafka://u:p@h'], 'kafka://u:***@h: a Kafka source is kafka://HOST:9092/TOPIC'],
    [['--to', 'mongodb://u:p@h/d'], 'mongodb://u:***@h/d: say which collection'],
    [['--from', 'a', '--from', 'b'], "--from: 'file' is given twice"],
    [['batch'], 'batch needs --input PATH'],
    [['batch', '--input', '-'], "several processes can't share stdin"],
    [['verify', '--input', 'x', '--flow', 'none'], "there is no flow 'none'; there is 'stdout'"],
    [['map', '--step', '0'], '--step takes a whole number of at least 1'],
    [['reduce', '--step', '2'], "flow 'stdout' has no step 2: it has 1"],
  ])('%j', async (args, text) => {
    const out = await program([CLICKSTREAM, ...args])
    expect(out.stderr).toContain(`error: `)
    expect(out.stderr).toContain(text)
    expect(
      out.stderr
        .trim()
        .split('\n')
        .filter((line) => !line.startsWith('clickstream: ') && !line.startsWith('no checkpoints')).length,
    ).toBe(1)
    expect([out.code, out.stdout]).toEqual([2, ''])
  })
})

describe('every command has --help, at most 80 columns wide', () => {
  it.each([[], ['run'], ['describe'], ['map'], ['combine'], ['reduce'], ['batch'], ['verify'], ['checkpoints']])(
    '%s',
    async (...command) => {
      const out = await program([CLICKSTREAM, ...command, '--help'])
      expect(out.code).toBe(0)
      for (const line of out.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
      expect(out.stdout).toContain(command[0] === undefined ? 'Exit codes' : (command[0] as string))
    },
  )
})

describe('a run that fails is exit code 1, and says where and what', () => {
  it.each([
    [['--from', 'none.ndjson'], 'error: there is no file or folder string "none.ndjson" (MLR_ERR_INPUT_MISSING)'],
    [['--from', '/proc/self/mem'], 'error: cannot read /proc/self/mem: EIO'],
    [['--from', '/dev/null', '--to', '/no/such/folder/x'], 'error: cannot write /no/such/folder/x: ENOENT'],
    [['--from', '/dev/null', '--to', '/tmp'], '/tmp is a folder'],
    [['batch', '--input', 'none'], 'error: there is no file or folder string "none"'],
    [
      ['batch', '--input', '/dev/null', '--output', '/no/such/folder/x'],
      'error: cannot write /no/such/folder/x: ENOENT',
    ],
  ])('%j', async (args, text) => {
    const out = await program([CLICKSTREAM, ...args])
    expect(out.stderr).toContain(text)
    expect(out.stderr).not.toContain('    at ')
    expect([out.code, out.stdout]).toEqual([1, ''])
  })

  it('a full disk behind stdout, a file and a dead letter', async () => {
    const clicks = join(temporaryFolder(), 'in')
    writeFileSync(clicks, CLICKS)
    const full = await shell(`node ${CLICKSTREAM} --quiet --from ${clicks} > /dev/full`)
    expect([full.code, full.stderr]).toEqual([
      1,
      'error: cannot write to standard output: ENOSPC: no space left on device, write (MLR_ERR_OUTPUT_WRITE)\n',
    ])
    const file = await program([CLICKSTREAM, '--quiet', '--from', clicks, '--to', '/dev/full'])
    expect([file.code, file.stderr]).toEqual([
      1,
      'error: cannot write /dev/full: ENOSPC: no space left on device, write (MLR_ERR_OUTPUT_WRITE)\n',
    ])
    const letters = await program([CLICKSTREAM, '--quiet', '--from', clicks, '--dead-letter', '/dev/full'])
    expect([letters.code, letters.stdout]).toEqual([1, expect.any(String)])
    expect(letters.stderr).toContain('cannot write /dev/full: ENOSPC')
    for (const role of ['map', 'reduce']) {
      const out = await shell(
        `node ${CLICKSTREAM} map < ${clicks} 2>/dev/null | LC_ALL=C sort | if [ ${role} = map ]; then cat >/dev/null; node ${CLICKSTREAM} map < ${clicks}; else node ${CLICKSTREAM} reduce; fi > /dev/full`,
      )
      expect(out.stderr, role).toContain('cannot write to standard output: ENOSPC')
      expect(out.code, role).toBe(1)
    }
  })

  it('an error in the user’s own code names its file and line', async () => {
    const folder = temporaryFolder()
    const module = join(ROOT, 'test/cli/broken-pipeline.ts')
    writeFileSync(join(folder, 'in'), 'a\nb\n')
    const out = await program([module, '--from', join(folder, 'in')])
    expect(out.code).toBe(1)
    expect(out.stderr).toContain(
      `error: broken › 1 map(lengthOf): Cannot read properties of undefined (reading 'length') (value: string "b") [${join(folder, 'in')}:2] (MLR_ERR_OPERATOR)\n  in test/cli/broken-pipeline.ts:`,
    )
    const batch = await program([module, 'batch', '--input', join(folder, 'in')])
    expect(batch.code).toBe(1)
    expect(batch.stderr).toContain('error: the mapper ended with code 1: error: broken › 1 map(lengthOf)')
  })

  it('a reducer that is given what no mapper wrote', async () => {
    const out = await program([CLICKSTREAM, 'reduce'], { input: 'no tab\n' })
    expect([out.code, out.stderr]).toEqual([
      1,
      'error: line 1 of the input is not key TAB accumulator: no tab — it must be what map or combine wrote (MLR_ERR_WIRE)\n',
    ])
    const acc = await program([CLICKSTREAM, 'reduce'], { input: '"a"\t{\n' })
    expect(acc.stderr).toContain('line 1 of the input has no accumulator of fields(')
  })
})

describe('a disk that fills', () => {
  let mounted: string | undefined
  beforeAll(() => {
    const folder = join('/tmp', `millrace-tiny-${process.pid}`)
    mkdirSync(folder)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' })
      mounted = folder
    } catch {
      execFileSync('rmdir', [folder])
    }
  })
  afterAll(() => {
    if (mounted === undefined) return
    execFileSync('umount', [mounted])
    execFileSync('rmdir', [mounted])
  })

  it('under a file: a clear error, and neither a partial nor a temporary file', async ({ skip }) => {
    if (mounted === undefined) return skip('a tmpfs can’t be mounted here')
    const folder = mounted
    const out = await program([CLICKSTREAM, '--quiet', '--from', 'clicks:?count=20000', '--to', join(folder, 'out')])
    expect([out.code, out.stderr]).toEqual([
      1,
      `error: cannot write ${join(folder, 'out')}: ENOSPC: no space left on device, write (MLR_ERR_OUTPUT_WRITE)\n`,
    ])
    expect(readdirSync(folder)).toEqual([])
    const packed = await program([
      CLICKSTREAM,
      '--quiet',
      '--from',
      'clicks:?count=40000&users=1000000',
      '--to',
      join(folder, 'out.gz'),
    ])
    expect([packed.code, packed.stderr]).toEqual([1, expect.stringContaining('ENOSPC')])
    expect(readdirSync(folder)).toEqual([])
  })

  it('under the parts of a batch: a clear error, and no output', async ({ skip }) => {
    if (mounted === undefined) return skip('a tmpfs can’t be mounted here')
    const input = join(temporaryFolder(), 'in')
    const made = await shell(
      `node -e "for (let i = 0; i < 4000; i++) console.log(JSON.stringify({ user_id: 'user-' + i, action: 'view' }))" > ${input}`,
    )
    expect(made.code).toBe(0)
    const out = await program([CLICKSTREAM, 'batch', '--quiet', '--input', input, '--output', join(mounted, 'out')])
    expect(out.code).toBe(1)
    expect(out.stderr).toContain('ENOSPC')
    expect(readdirSync(mounted)).toEqual([])
  })
})

describe('a reader that leaves', () => {
  it('ends the run quietly, with exit code 0', async () => {
    const out = await shell(
      `set -o pipefail; zcat data/apache_access.log.gz | node ${ACCESS} run --from - --to - --quiet | head -1`,
    )
    expect(out.stdout).toBe('{"visitor":"1.22.35.226","hits":6,"bytes":80283,"last_page":"/reset.css"}\n')
    expect(out.stderr).toBe('')
    const endless = await shell(`set -o pipefail; node test/cli/echo-pipeline.ts --from clicks: --quiet | head -2`)
    expect([endless.code, endless.stdout.split('\n').length, endless.stderr]).toEqual([0, 3, ''])
  })

  it('is told about where another sink is left with nothing', async () => {
    const folder = temporaryFolder()
    const out = await shell(
      `set -o pipefail; node test/cli/two-sinks-pipeline.ts --from clicks: --to stdout=- --to file=${folder}/out | head -1 > /dev/null`,
    )
    expect(out.code).toBe(1)
    expect(out.stderr).toContain(
      'the reader of standard output has closed it, so the run has ended and nothing was written elsewhere',
    )
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('signals', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('%s finishes what was read, writes it, and exits 0', async (signal) => {
    const child = start([CLICKSTREAM, '--from', 'clicks:?rate=1000', '--format', 'json'])
    const done = ended(child)
    await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
    child.kill(signal)
    const out = await done
    expect(out.code).toBe(0)
    expect(out.stderr).toContain(`${signal}: finishing what was read; once more to exit at once`)
    expect(out.stderr).toContain('stopped before its input had ended: the result covers only what was read')
    // The last version of each row adds up to what was read.
    const last = new Map(
      out.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as { user_id: string; click_count: number })
        .map((row) => [row.user_id, row.click_count]),
    )
    const read = Number(/read ([\d,]+) records/.exec(out.stderr)?.[1]?.replaceAll(',', ''))
    expect([...last.values()].reduce((a, b) => a + b, 0)).toBe(read)
  })

  it('a source that waits on stdin ends too', async () => {
    const child = start([CLICKSTREAM, '--from', '-', '--live', '--tick', '10ms'])
    const done = ended(child)
    child.stdin.write(CLICKS)
    await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
    child.kill('SIGTERM')
    const out = await done
    expect([out.code, out.stdout]).toEqual([0, ROWS])
  })

  it('reaches a source that never waits', async () => {
    const child = start([CLICKSTREAM, '--from', 'clicks:', '--to', '/dev/null'])
    const done = ended(child)
    await new Promise<void>((resolve) => child.stderr.once('data', () => resolve()))
    child.kill('SIGTERM')
    expect((await done).code).toBe(0)
  })

  it('a second one exits at once', async () => {
    const child = start([join(ROOT, 'test/cli/stuck-pipeline.ts')])
    const done = ended(child)
    await new Promise<void>((resolve) =>
      child.stderr.on('data', (chunk: Buffer) => {
        if (chunk.includes('stuck now')) resolve()
      }),
    )
    child.kill('SIGINT')
    await new Promise<void>((resolve) =>
      child.stderr.on('data', (chunk: Buffer) => {
        if (chunk.includes('once more')) resolve()
      }),
    )
    child.kill('SIGINT')
    expect((await done).code).toBe(130)
  })
})

describe('large and deep input', () => {
  it('a 100 MB line is skipped and counted in little memory, and its neighbours are read', async () => {
    const long = `(echo '{"user_id":"a","action":"x"}'; head -c 104857600 /dev/zero | tr '\\0' x; echo; printf '{"user_id":"b","action":"y"}')`
    const out = await shell(`${long} | node --max-old-space-size=64 ${CLICKSTREAM} --from -`)
    expect(out.stdout).toBe(
      '{"user_id":"a","click_count":1,"last_action":"x"}\n{"user_id":"b","click_count":1,"last_action":"y"}\n',
    )
    expect(out.stderr).toContain('stdin:2  parseJson: the line has 104857600 bytes, more than maxLineBytes (16777216)')
  })

  it('JSON nested 100,000 deep is skipped and counted', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}\n${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}\n`
    const out = await program([CLICKSTREAM, '--from', '-'], { input: deep + CLICKS })
    expect([out.code, out.stdout]).toEqual([0, ROWS])
    expect(out.stderr).toContain('stdin:1  parseJson: nested deeper than maxDepth (1000)')
    expect(out.stderr).toContain('skipped 3')
  })
})
