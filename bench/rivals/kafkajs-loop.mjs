// The rival of a stream from Kafka: kafkajs' eachBatch, JSON.parse, a Map; it writes nothing and keeps no checkpoints.
//   node kafkajs-loop.mjs BROKERS TOPIC RECORDS
import { createRequire } from 'node:module'

const { Kafka, logLevel } = createRequire(import.meta.url)('../../node_modules/kafkajs')
const [brokers, topic, records] = process.argv.slice(2)
const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const consumer = kafka.consumer({ groupId: `loop-${process.pid}`, maxWaitTimeInMs: 200 })
const users = new Map()
let read = 0
await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })
await new Promise((resolve) => {
  consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const { value } of batch.messages) {
        read++
        let click
        try {
          click = JSON.parse(value.toString())
        } catch {
          continue
        }
        const user = users.get(click.user_id)
        if (user === undefined) users.set(click.user_id, { count: 1, last: click.timestamp, action: click.action })
        else {
          user.count++
          if (click.timestamp >= user.last) {
            user.last = click.timestamp
            user.action = click.action
          }
        }
      }
      if (read >= Number(records)) resolve()
    },
  })
})
let sum = 0
for (const { count } of users.values()) sum += count
console.log(JSON.stringify({ users: users.size, clicks: sum }))
await consumer.disconnect()
