import { extname } from 'node:path'
import type { Transform } from 'node:stream'
import { createGzip, createZstdCompress } from 'node:zlib'
import { MillraceError } from '../core/errors.ts'

const PACKERS: Readonly<Record<string, () => Transform>> = { '.gz': createGzip, '.zst': createZstdCompress }
/** Suffixes by which everybody would take a file for a packed one. */
const OTHERS = ['.bz2', '.xz', '.lz4', '.snappy', '.zip', '.br', '.z', '.lzo', '.deflate', '.tgz']

export function isPacked(name: string): boolean {
  return suffixOf(name) in PACKERS
}

/** What packs a file as its suffix says; undefined where it says nothing. */
export function packerFor(name: string): Transform | undefined {
  return PACKERS[suffixOf(name)]?.()
}

/** Refuses to write a text under a suffix that promises something else. */
export function refuseUnpackable(name: string): void {
  if (!OTHERS.includes(suffixOf(name))) return
  throw new MillraceError(
    'MLR_ERR_USAGE',
    `${name}: files are packed as .gz or .zst, not as ${suffixOf(name)} — name another suffix`,
  )
}

function suffixOf(name: string): string {
  return extname(name).toLowerCase()
}
