/// <reference path="./unbzip2-stream.d.ts" />
import { Readable } from 'node:stream'
import unbzip2 from 'unbzip2-stream'

/** The unpacked bytes of a `.bz2`, block by block (900 KB and more); several streams one after the other, as parallel packers write them, are one. */
export function bunzip2(packed: Readable): Readable {
  // A stream of the old kind: it knows pause and resume, and what destroys it must be told to the one that it reads.
  return new Readable({ highWaterMark: 1 }).wrap(packed.pipe(unbzip2()))
}
