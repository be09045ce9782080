/** A piece of a larger whole has about so many characters: far below the longest string that there can be. */
const PIECE_CHARACTERS = 32 * 1024 * 1024

/** Texts as pieces, none much longer than {@link PIECE_CHARACTERS}. */
export class Pieces {
  readonly #done: string[] = []
  #piece = ''

  add(text: string): void {
    this.#piece += text
    if (this.#piece.length >= PIECE_CHARACTERS) this.#end()
  }

  end(): readonly string[] {
    if (this.#piece !== '') this.#end()
    return this.#done
  }

  #end(): void {
    this.#done.push(this.#piece)
    this.#piece = ''
  }
}
