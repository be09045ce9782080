/** Ctrl-C and SIGTERM: the first one asks the run to finish what was read, a second one exits at once. */
export function stopOnSignals(
  beforeNotice: () => void,
  doing = 'finishing what was read',
): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController()
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143)
    beforeNotice()
    process.stderr.write(`${name}: ${doing}; once more to exit at once\n`)
    controller.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    signal: controller.signal,
    release: () => {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}
