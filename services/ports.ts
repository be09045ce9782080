import { connect, createServer } from 'node:net'

/** Below the range from which the system gives ports to clients: one of those may own a port that looks free. */
const [FROM, TO] = [20_000, 32_000]

/** So many free ports of this machine, one after the other. */
export async function freePorts(count: number): Promise<readonly number[]> {
  for (let tries = 0; tries < 200; tries++) {
    const first = FROM + Math.floor(Math.random() * (TO - FROM - count))
    const ports = Array.from({ length: count }, (_, i) => first + i)
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return ports
  }
  throw new Error(`found no ${count} free ports between ${FROM} and ${TO}`)
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Somebody listens there. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
