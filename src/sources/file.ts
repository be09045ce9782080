import { readFiles } from './file-reader.ts'
import { findInputFiles } from './input-files.ts'
import type { SourceOptions, SourceReader } from './source.ts'

/** How often a folder that is followed is looked at. */
const LOOK_MS = 100

/** Opens a file, folder or glob of a local disk as lines. */
export function openFileSource(
  path: string,
  options: SourceOptions & { readonly maxLineBytes?: number | undefined },
): Promise<SourceReader> {
  return readFiles({ find: () => findInputFiles(path), lookMs: LOOK_MS, ...options })
}
