import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where servers that were fetched once are kept, so that the next start takes seconds. */
export function cacheFolder(...names: readonly string[]): string {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  return join(base, 'millrace', 'services', ...names)
}
