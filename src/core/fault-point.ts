/**
 * Named places in the protocol where a test may kill or pause the process: `MILLRACE_FAULT='NAME@N:SIGKILL'` does so the Nth time that it
 * comes there. Without the variable each is one comparison.
 */
export function faultPoint(name: string): void {
  if (wanted === undefined || wanted.name !== name || --wanted.times > 0) return
  const { signal } = wanted
  if (wanted.times === 0) process.kill(process.pid, signal)
}

/** A test wants a fault: then as much as possible of the protocol should happen in a short run. */
export function faultsWanted(): boolean {
  return wanted !== undefined
}

const wanted = parse(process.env.MILLRACE_FAULT)

function parse(text: string | undefined): { name: string; times: number; signal: NodeJS.Signals } | undefined {
  const match = /^(.+)@(\d+):(SIG[A-Z]+)$/.exec(text ?? '')
  return match === null
    ? undefined
    : { name: match[1] as string, times: Number(match[2]), signal: match[3] as NodeJS.Signals }
}
