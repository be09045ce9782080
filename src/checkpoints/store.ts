/**
 * Where checkpoints lie: immutable blobs by name. Four verbs, and nothing of a store is trusted beyond them. `storeContract` of
 * `millrace/testing` holds a store to them.
 */
export interface CheckpointStore {
  /** For people: kind and place. */
  readonly label: string
  /**
   * Makes a blob. False: the name exists, and nothing was changed. The name shows the whole blob or nothing, and once this has resolved
   * the blob outlives a crash of the machine. An error says nothing of whether it is there: send the same bytes again.
   */
  create(name: string, bytes: Uint8Array): Promise<boolean>
  /** The blob, or undefined where there is none. */
  read(name: string): Promise<Uint8Array | undefined>
  /** All names, in no order. A blob whose `create` resolved before the call is in it, unless it was deleted. */
  list(): Promise<readonly string[]>
  /** Removes a blob; one that is not there is no error. */
  delete(name: string): Promise<void>
  /** Removes what crashes have left half-written, if the store can have such. A writer that loses its own gets an error and tries again. */
  removeTemporaries?(): Promise<void>
  close?(): Promise<void>
}

/** Letters, digits, `.`, `_`, `-`, not first a dot: what every store can hold. */
export function isBlobName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(name)
}
