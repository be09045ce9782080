// `npm run services -- start|stop|status|logs [kafka] [mongo] [hdfs] [yarn]`: real servers on 127.0.0.1 for tries and demos.
import { rmSync } from 'node:fs'
import { cacheFolder } from './cache.ts'
import { HadoopCluster, hadoopPorts } from './hadoop.ts'
import { KafkaCluster } from './kafka.ts'
import { MongoServer } from './mongo.ts'
import { isFree } from './ports.ts'
import { runningServers, type ServerProcess } from './processes.ts'

const KAFKA_PORT = 19_092
const MONGO_PORT = 27_027
const HADOOP_PORT = 28_020
const NAMES = ['kafka', 'mongo', 'hdfs', 'yarn'] as const
type Name = (typeof NAMES)[number]
/** Where a service keeps what outlives it; YARN's lies with HDFS's. */
const FOLDERS: Readonly<Record<Name, string>> = { kafka: 'kafka', mongo: 'mongo', hdfs: 'hadoop', yarn: 'hadoop' }

const HELP = `Usage: npm run services -- COMMAND [${NAMES.join('] [')}]

  start    starts them (default: kafka and mongo) and prints their addresses
  stop     stops them (default: all); --clean also removes their data
  status   what runs
  logs     the ends of their logs
  env      what to export, so that pipelines find what runs

Kafka listens on 127.0.0.1:${KAFKA_PORT}, MongoDB on 127.0.0.1:${MONGO_PORT}, the namenode
on 127.0.0.1:${HADOOP_PORT + 1} (HTTP) and YARN's manager on 127.0.0.1:${HADOOP_PORT + 6}. They run until
you stop them. What they need is fetched once and kept in
${cacheFolder()}.
`

const [command = 'help', ...rest] = process.argv.slice(2)
const clean = rest.includes('--clean')
const names = rest.filter((name) => name !== '--clean')
const say = (line: string): void => void process.stderr.write(`${line}\n`)
const hadoop = (): HadoopCluster =>
  new HadoopCluster({ id: 'hadoop', folder: cacheFolder('data', 'hadoop'), port: HADOOP_PORT, detached: true, say })

try {
  const unknown = names.find((name) => !(NAMES as readonly string[]).includes(name))
  if (unknown !== undefined) throw new Error(`there is no service '${unknown}': there are ${NAMES.join(', ')}`)
  const wanted = (names.length > 0 ? names : command === 'start' ? ['kafka', 'mongo'] : NAMES) as readonly Name[]
  const running = await runningServers()
  const ours = (name: Name): readonly ServerProcess[] =>
    running.filter(({ record }) => record.service === name && record.owner === undefined)
  switch (command) {
    case 'start':
      for (const name of wanted) await start(name)
      break
    case 'stop':
      // Jobs before the files that they read.
      for (const name of [...wanted].sort().reverse()) {
        const servers = ours(name)
        await Promise.all(servers.map((server) => server.stop()))
        console.log(`${name}: ${servers.length === 0 ? 'did not run' : 'stopped'}`)
        if (clean && name !== 'yarn') rmSync(cacheFolder('data', FOLDERS[name]), { recursive: true, force: true })
      }
      break
    case 'status':
      for (const name of wanted) console.log(`${name}: ${ours(name)[0]?.record.url ?? 'does not run'}`)
      break
    case 'logs':
      for (const server of wanted.flatMap(ours))
        console.log(`== ${server.record.id}: ${server.record.log}\n${server.tail()}`)
      break
    case 'env':
      if (ours('kafka').length > 0) console.log(`export MILLRACE_KAFKA='${ours('kafka')[0]?.record.url}'`)
      if (ours('mongo').length > 0) console.log(`export MILLRACE_MONGO='${ours('mongo')[0]?.record.url}'`)
      if (ours('hdfs').length > 0)
        for (const [name, value] of Object.entries(hadoop().environment)) console.log(`export ${name}='${value}'`)
      break
    default:
      process.stdout.write(HELP)
      if (command !== 'help' && command !== '--help') process.exitCode = 2
  }

  async function start(name: Name): Promise<void> {
    const [server] = ours(name)
    if (server !== undefined) return console.log(`${name}: runs at ${server.record.url}`)
    switch (name) {
      case 'kafka':
        await refuseTaken(name, KAFKA_PORT)
        return started(
          name,
          (await new KafkaCluster({ ...options(name), ports: [KAFKA_PORT, KAFKA_PORT + 1] }).start()).url,
        )
      case 'mongo':
        await refuseTaken(name, MONGO_PORT)
        return started(name, (await new MongoServer({ ...options(name), port: MONGO_PORT }).start()).url)
      case 'hdfs':
        for (let port = 0; port < hadoopPorts(); port++) await refuseTaken(name, HADOOP_PORT + port)
        return started(name, (await hadoop().startHdfs()).url)
      case 'yarn': {
        if (ours('hdfs').length === 0 && !wanted.includes('hdfs')) await start('hdfs')
        return started(name, (await hadoop().startYarn()).yarnUrl)
      }
    }
  }

  function options(name: Name) {
    return { id: name, folder: cacheFolder('data', FOLDERS[name]), detached: true, say }
  }
} catch (error) {
  say(`error: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

function started(name: string, url: string): void {
  console.log(`${name}: started at ${url}`)
}

async function refuseTaken(name: string, port: number): Promise<void> {
  if (!(await isFree(port))) throw new Error(`${name}: port ${port} of 127.0.0.1 is taken by another program`)
}
