// `npm run services -- start|stop|status|logs [kafka] [mongo]`: real servers on 127.0.0.1 for tries and demos.
import { rmSync } from 'node:fs'
import { cacheFolder } from './cache.ts'
import { KafkaCluster } from './kafka.ts'
import { MongoServer } from './mongo.ts'
import { isFree } from './ports.ts'
import { runningServers } from './processes.ts'

const HELP = `Usage: npm run services -- COMMAND [kafka] [mongo]

  start    starts them (default: both) and prints their addresses
  stop     stops them; --clean also removes their data
  status   what runs
  logs     the ends of their logs

Kafka listens on 127.0.0.1:19092, MongoDB on 127.0.0.1:27027. They run until you
stop them. What they need is fetched once and kept in ${cacheFolder()}.
`
const [KAFKA_PORT, MONGO_PORT] = [19_092, 27_027]

const [command = 'help', ...rest] = process.argv.slice(2)
const clean = rest.includes('--clean')
const names = rest.filter((name) => name !== '--clean')
const unknown = names.find((name) => name !== 'kafka' && name !== 'mongo')
const wanted = (name: string): boolean => names.length === 0 || names.includes(name)
const say = (line: string): void => void process.stderr.write(`${line}\n`)

try {
  if (unknown !== undefined) throw new Error(`there is no service '${unknown}': there are kafka and mongo`)
  const running = await runningServers()
  const ours = (name: string) => running.find(({ record }) => record.service === name && record.owner === undefined)
  switch (command) {
    case 'start':
      if (wanted('kafka')) await start('kafka', KAFKA_PORT)
      if (wanted('mongo')) await start('mongo', MONGO_PORT)
      break
    case 'stop':
      for (const name of ['kafka', 'mongo']) {
        if (!wanted(name)) continue
        const server = ours(name)
        await server?.stop()
        console.log(`${name}: ${server === undefined ? 'did not run' : 'stopped'}`)
        if (clean) rmSync(cacheFolder('data', name), { recursive: true, force: true })
      }
      break
    case 'status':
      for (const name of ['kafka', 'mongo'])
        if (wanted(name)) console.log(`${name}: ${ours(name)?.record.url ?? 'does not run'}`)
      break
    case 'logs':
      for (const name of ['kafka', 'mongo']) {
        const server = wanted(name) ? ours(name) : undefined
        if (server !== undefined) console.log(`== ${name}: ${server.record.log}\n${server.tail()}`)
      }
      break
    default:
      process.stdout.write(HELP)
      if (command !== 'help' && command !== '--help') process.exitCode = 2
  }

  async function start(name: 'kafka' | 'mongo', port: number): Promise<void> {
    const server = ours(name)
    if (server !== undefined) return console.log(`${name}: runs at ${server.record.url}`)
    if (!(await isFree(port))) throw new Error(`${name}: port ${port} of 127.0.0.1 is taken by another program`)
    const options = { id: name, folder: cacheFolder('data', name), detached: true, say }
    const started =
      name === 'kafka'
        ? await new KafkaCluster({ ...options, ports: [port, port + 1] }).start()
        : await new MongoServer({ ...options, port }).start()
    console.log(`${name}: started at ${started.url}`)
  }
} catch (error) {
  say(`error: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
