/** Texts that are kept; a power of two. */
const SLOTS = 256;

/** Longest text that is kept, in bytes. */
const KEPT_BYTES_MAX = 200;

/**
 * Known texts: ASCII texts that were found to be right, such as the topics that a publisher names again and again. To
 * find one in the bytes of a message takes a tenth of the time that it takes to make a text of them and to check it.
 */
export class KnownTexts {
  readonly #isRight: (text: string) => boolean;
  readonly #kept: (string | undefined)[] = new Array(SLOTS).fill(undefined);

  /** @param isRight says the same of the same text, always */
  constructor(isRight: (text: string) => boolean) {
    this.#isRight = isRight;
  }

  /**
   * The text in a part of some bytes, which are ASCII there.
   *
   * @returns `undefined` for a text that is not right
   */
  read(bytes: Buffer, start: number, end: number): string | undefined {
    let hash = end - start;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
    const slot = (hash ^ (hash >>> 16)) & (SLOTS - 1);
    const kept = this.#kept[slot];
    if (kept !== undefined && isIn(kept, bytes, start, end)) return kept;
    const text = bytes.toString('latin1', start, end);
    if (!this.#isRight(text)) return undefined;
    if (text.length <= KEPT_BYTES_MAX) this.#kept[slot] = text;
    return text;
  }
}

function isIn(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) !== bytes[start + index]) return false;
  }
  return true;
}
