/** How this program was started. */
export interface Invocation {
  /** What help calls it. */
  readonly program: string
  /** The path of the module that holds the pipeline. */
  readonly module: string
  /** The arguments with which Node starts this very module again, for a command. */
  readonly reenter: (command: string) => readonly string[]
}
