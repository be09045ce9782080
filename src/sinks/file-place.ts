/**
 * Where a sink's files lie: a disk, or HDFS. What the sinks of files do is the same on both; this is what differs. Every verb that changes
 * something may be called again with the same arguments: then it has been done once.
 */
export interface FilePlace {
  /** A path as people know it. */
  name(path: string): string
  /** With the folders above it. */
  makeFolder(path: string): Promise<void>
  /** The names in a folder. */
  list(folder: string): Promise<readonly string[]>
  /** Undefined where there is nothing. */
  size(path: string): Promise<number | undefined>
  /** A small file; undefined where there is none. */
  read(path: string): Promise<string | undefined>
  /** A file anew, as a whole. */
  write(path: string, text: string): Promise<void>
  /** The text becomes the end of a file that has `at` bytes; what lies behind those was left by an attempt to write the same. */
  append(path: string, at: number, text: string): Promise<void>
  /** What was written to these files, and what the folder lists, outlives a crash of the machine. */
  sync(paths: Iterable<string>, folder: string): Promise<void>
  /** The first bytes of a file as another one, which is made anew. */
  copyFirst(from: string, to: string, bytes: number): Promise<void>
  /** A file as another one, packed as the suffix of its final name says. */
  pack(from: string, to: string, name: string): Promise<void>
  /** Gives a file its name, over what has it. */
  replace(from: string, to: string): Promise<void>
  /** Gives a file its name, unless something has it; then false, and both are as they were. */
  reveal(from: string, to: string): Promise<boolean>
  sameBytes(a: string, b: string): Promise<boolean>
  /** What is not there is no error. */
  remove(path: string): Promise<void>
  /** The file has fewer bytes than it should: whether more may come to light (a writer that died is being cleared up). */
  mayGrow(path: string): Promise<boolean>
  close(): Promise<void>
}
