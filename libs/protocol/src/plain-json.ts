/*
 * Plain JSON: a text that `JSON.stringify` would write the same after `parseExact`, apart from white space. So whoever
 * has walked over its bytes knows its value to be right, and can pass the bytes on. What is not plain may be valid
 * all the same: an escape that is not needed, a number like 1.0, a name twice. Only the slow path knows what to do with that.
 */

const TAB = 0x09;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** What all methods return in place of an index where the text is not plain. */
export const NOT_PLAIN = -1;

/** Most names of one object. Each is compared with those before it. */
const OBJECT_NAMES_MAX = 64;

/** Most names of all objects that are open at one time. */
const OPEN_NAMES_MAX = 1024;

/** Most runs of white space in one text. */
const GAPS_MAX = 4096;

/** A number of so many characters is kept as it came: see `parseExact`. */
const KEPT_LENGTH = 16;

/** Digits of a number that is certainly not beyond 1.8e308. */
const NUMBER_LENGTH_MAX = 300;

/** What may follow a backslash where `JSON.stringify` writes one. It writes `u` too, which few texts need. */
const ESCAPES = flags('"\\bfnrt');

const [TRUE, FALSE, NULL] = ['true', 'false', 'null'].map((text) => Buffer.from(text)) as [
  Buffer,
  Buffer,
  Buffer,
];
const LETTER_T = 0x74;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_E = 0x65;
const SMALL = 0x20;

/**
 * Walks over plain JSON. The bytes must be UTF-8, which `isUtf8` tells in a fraction of the time. A method that is
 * given the index of a value returns the one behind it, or `NOT_PLAIN`.
 */
export class PlainJson {
  #bytes: Buffer = Buffer.alloc(0);
  /** Hashes of the names in the objects that are open, outermost first. */
  readonly #names = new Int32Array(OPEN_NAMES_MAX);
  #namesEnd = 0;
  /** Where runs of white space begin and end, in pairs. */
  readonly #gaps = new Int32Array(2 * GAPS_MAX);
  #gapsEnd = 0;

  /** Begins with a text. */
  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#namesEnd = 0;
    this.#gapsEnd = 0;
  }

  /** Where the white space ends that begins here, if any does. */
  blank(at: number): number {
    const bytes = this.#bytes;
    if ((bytes[at] as number) > SPACE) return at;
    let end = at;
    while (isBlank(bytes[end])) end++;
    if (end === at) return at;
    // A text with more of it counts as if it ended here, which no value does.
    if (this.#gapsEnd === this.#gaps.length) return bytes.length;
    this.#gaps[this.#gapsEnd++] = at;
    this.#gaps[this.#gapsEnd++] = end;
    return end;
  }

  /**
   * Any value.
   *
   * @param levels how deep objects and arrays may be nested
   */
  value(at: number, levels: number): number {
    const code = this.#bytes[at];
    if (code === QUOTE) return this.string(at);
    if (code === OPEN_OBJECT) return levels > 0 ? this.#object(at, levels - 1) : NOT_PLAIN;
    if (code === OPEN_ARRAY) return levels > 0 ? this.#array(at, levels - 1) : NOT_PLAIN;
    if (code === LETTER_T) return this.#literal(at, TRUE);
    if (code === LETTER_F) return this.#literal(at, FALSE);
    if (code === LETTER_N) return this.#literal(at, NULL);
    return this.number(at);
  }

  string(at: number): number {
    const bytes = this.#bytes;
    const { length } = bytes;
    for (let index = at + 1; index < length; index++) {
      const code = bytes[index] as number;
      if (code === QUOTE) return index + 1;
      if (code < SPACE) return NOT_PLAIN;
      if (code === BACKSLASH && ESCAPES[bytes[++index] as number] !== 1) return NOT_PLAIN;
    }
    return NOT_PLAIN;
  }

  number(at: number): number {
    const bytes = this.#bytes;
    const start = bytes[at] === MINUS ? at + 1 : at;
    let end = this.#digits(start);
    if (end === start || (bytes[start] === ZERO && end > start + 1)) return NOT_PLAIN;
    let isPlain = bytes[start] !== ZERO || start === at;
    if (bytes[end] === DOT) {
      const point = end;
      end = this.#digits(point + 1);
      if (end === point + 1) return NOT_PLAIN;
      // JavaScript writes no zero at the end, and small fractions with an exponent.
      isPlain = bytes[end - 1] !== ZERO && (bytes[start] !== ZERO || bytes[point + 1] !== ZERO);
    }
    if (((bytes[end] as number) | SMALL) === LETTER_E) return NOT_PLAIN;
    const length = end - start;
    return (isPlain || length >= KEPT_LENGTH) && length <= NUMBER_LENGTH_MAX ? end : NOT_PLAIN;
  }

  /**
   * Opens an object, whose names are then given to `name`.
   *
   * @returns what `close` is given
   */
  open(): number {
    return this.#namesEnd;
  }

  close(opened: number): void {
    this.#namesEnd = opened;
  }

  /**
   * Notes a name of the object that was opened last.
   *
   * @param hash of its bytes. Two names with one hash count as one name, which is not plain
   */
  note(hash: number, opened: number): boolean {
    const names = this.#names;
    const end = this.#namesEnd;
    if (end === OPEN_NAMES_MAX || end - opened === OBJECT_NAMES_MAX) return false;
    for (let index = opened; index < end; index++) if (names[index] === hash) return false;
    names[end] = hash;
    this.#namesEnd = end + 1;
    return true;
  }

  /** How many bytes a part of the text has without its white space. */
  lengthOf(start: number, end: number): number {
    let length = end - start;
    for (let index = 0; index < this.#gapsEnd; index += 2) {
      length -= (this.#gaps[index + 1] as number) - (this.#gaps[index] as number);
    }
    return length;
  }

  /** Copies a part of the text, which has all the white space since `begin`, without that. */
  copy(target: Buffer, start: number, end: number): void {
    const bytes = this.#bytes;
    const gaps = this.#gaps;
    let to = 0;
    let from = start;
    for (let index = 0; index < this.#gapsEnd; index += 2) {
      const until = gaps[index] as number;
      // Most pieces are so short that a call of the runtime takes longer.
      while (from < until) target[to++] = bytes[from++] as number;
      from = gaps[index + 1] as number;
    }
    bytes.copy(target, to, from, end);
  }

  #object(at: number, levels: number): number {
    const bytes = this.#bytes;
    const opened = this.open();
    let next = this.blank(at + 1);
    if (bytes[next] === CLOSE_OBJECT) return next + 1;
    for (;;) {
      next = this.#name(next, opened);
      if (next === NOT_PLAIN) return NOT_PLAIN;
      next = this.blank(next);
      if (bytes[next] !== COLON) return NOT_PLAIN;
      next = this.value(this.blank(next + 1), levels);
      if (next === NOT_PLAIN) return NOT_PLAIN;
      next = this.blank(next);
      if (bytes[next] !== COMMA) break;
      next = this.blank(next + 1);
    }
    this.close(opened);
    return bytes[next] === CLOSE_OBJECT ? next + 1 : NOT_PLAIN;
  }

  #array(at: number, levels: number): number {
    const bytes = this.#bytes;
    let next = this.blank(at + 1);
    if (bytes[next] === CLOSE_ARRAY) return next + 1;
    for (;;) {
      next = this.value(next, levels);
      if (next === NOT_PLAIN) return NOT_PLAIN;
      next = this.blank(next);
      if (bytes[next] !== COMMA) break;
      next = this.blank(next + 1);
    }
    return bytes[next] === CLOSE_ARRAY ? next + 1 : NOT_PLAIN;
  }

  /** A name without escapes. One of digits is not plain, because JavaScript moves it to the front. */
  #name(at: number, opened: number): number {
    const bytes = this.#bytes;
    if (bytes[at] !== QUOTE || isDigit(bytes[at + 1] as number)) return NOT_PLAIN;
    const { length } = bytes;
    let hash = 0;
    for (let index = at + 1; index < length; index++) {
      const code = bytes[index] as number;
      if (code === QUOTE) return this.note(hash, opened) ? index + 1 : NOT_PLAIN;
      if (code < SPACE || code === BACKSLASH) return NOT_PLAIN;
      hash = (Math.imul(hash, 31) + code) | 0;
    }
    return NOT_PLAIN;
  }

  #literal(at: number, text: Buffer): number {
    const bytes = this.#bytes;
    for (let index = 1; index < text.length; index++) {
      if (bytes[at + index] !== text[index]) return NOT_PLAIN;
    }
    return at + text.length;
  }

  #digits(at: number): number {
    const bytes = this.#bytes;
    let end = at;
    while (isDigit(bytes[end] as number)) end++;
    return end;
  }
}

function isBlank(code: number | undefined): boolean {
  return code === SPACE || code === LINE_FEED || code === RETURN || code === TAB;
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}

/** 1 at the code of each of the characters. */
function flags(characters: string): Uint8Array {
  const set = new Uint8Array(256);
  for (const character of characters) set[character.charCodeAt(0)] = 1;
  return set;
}
