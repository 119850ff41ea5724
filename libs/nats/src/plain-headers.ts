import { type MessageParts, readHeaders } from './records.ts';
import { SEAL_HEADER } from './seal.ts';

const STATUS_LINE = bytesOf('NATS/1.0\r\n');
const CR = 13;
const LF = 10;
const SPACE = 32;
const COLON = 58;
const TILDE = 126;

/** Characters of a seal. */
const SEAL_LENGTH = 22;

/** The headers that services write, as they spell them, besides those of NATS. The seal is the first, for its index. */
const NAMES = [SEAL_HEADER, 'content-type', 'traceparent', 'tracestate'];
const SEAL = 0;
const NAME_BYTES = NAMES.map((name) => bytesOf(`${name}: `));

/** Stands for all names that begin like those of NATS, such as that of the message id. */
const NATS = NAMES.length;
const NATS_BYTES = bytesOf('Nats-');
const NATS_LOWER = 'nats-';

/** A message whose headers are decoded when they are asked for. */
type Undecoded = Partial<Pick<MessageParts, 'headers'>>;

/**
 * The headers of a message that has no others than services write: none of ours twice, each spelled and spaced as they
 * do, in printable ASCII. Only the seal is read; the whole is decoded when somebody asks for another one that is there,
 * which nobody does for most events. Decoding takes 2 µs, and this 0.2.
 */
export class PlainHeaders implements ReadonlyMap<string, string> {
  readonly #seal: string | undefined;
  /** A bit for each name that is there. */
  readonly #present: number;
  readonly #message: Undecoded;
  #decoded: ReadonlyMap<string, string> | undefined;

  private constructor(seal: string | undefined, present: number, message: Undecoded) {
    this.#seal = seal;
    this.#present = present;
    this.#message = message;
  }

  /**
   * Looks at the header block at the beginning of some bytes.
   *
   * @param end where the block ends
   * @param message decodes the same block
   * @returns `undefined` for any block of another form, which must be decoded
   */
  static read(bytes: Uint8Array, end: number, message: Undecoded): PlainHeaders | undefined {
    if (!isAt(bytes, 0, STATUS_LINE)) return undefined;
    let seal: string | undefined;
    let present = 0;
    let at = STATUS_LINE.length;
    // An empty line ends the block.
    while (at < end - 2) {
      const name = nameAt(bytes, at);
      if (name === -1 || (name !== NATS && present & (1 << name))) return undefined;
      present |= 1 << name;
      const start = name === NATS ? natsValue(bytes, at) : at + (NAME_BYTES[name]?.length ?? 0);
      at = valueEnd(bytes, start, end);
      if (at === -1) return undefined;
      if (name === SEAL) {
        if (at - start !== SEAL_LENGTH) return undefined;
        seal = Buffer.prototype.latin1Slice.call(bytes, start, at);
      }
      at += 2;
    }
    if (at !== end - 2 || bytes[at] !== CR || bytes[at + 1] !== LF) return undefined;
    return new PlainHeaders(seal, present, message);
  }

  get(name: string): string | undefined {
    if (name === SEAL_HEADER) return this.#seal;
    return this.#mayHave(name) ? this.#all.get(name) : undefined;
  }

  has(name: string): boolean {
    return this.#mayHave(name) && this.#all.has(name);
  }

  get size(): number {
    return this.#all.size;
  }

  forEach(...[visit, self]: Parameters<ReadonlyMap<string, string>['forEach']>): void {
    this.#all.forEach(visit, self);
  }

  entries() {
    return this.#all.entries();
  }

  keys() {
    return this.#all.keys();
  }

  values() {
    return this.#all.values();
  }

  [Symbol.iterator]() {
    return this.#all.entries();
  }

  #mayHave(name: string): boolean {
    const index = name.startsWith(NATS_LOWER) ? NATS : NAMES.indexOf(name);
    return index !== -1 && (this.#present & (1 << index)) !== 0;
  }

  get #all(): ReadonlyMap<string, string> {
    this.#decoded ??= readHeaders(this.#message);
    return this.#decoded;
  }
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** @returns the index of the name that stands there, with its colon and one space; -1 where none does */
function nameAt(bytes: Uint8Array, at: number): number {
  for (let index = 0; index < NAME_BYTES.length; index++) {
    const name = NAME_BYTES[index];
    if (name && name[0] === bytes[at] && isAt(bytes, at, name)) return index;
  }
  return isAt(bytes, at, NATS_BYTES) ? NATS : -1;
}

/** @returns where the value begins of a header whose name begins like those of NATS; beyond all bytes where it is odd */
function natsValue(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isOfName(bytes[at])) at++;
  return bytes[at] === COLON && bytes[at + 1] === SPACE ? at + 2 : Number.POSITIVE_INFINITY;
}

function isAt(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let index = 0; index < expected.length; index++) {
    if (bytes[at + index] !== expected[index]) return false;
  }
  return true;
}

/** @returns where a value ends that is printable, has no space at its ends and a line end behind it; else -1 */
function valueEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isPrintable(bytes[at])) at++;
  if (at === start || bytes[start] === SPACE || bytes[at - 1] === SPACE) return -1;
  return bytes[at] === CR && bytes[at + 1] === LF ? at : -1;
}

function isPrintable(byte = 0): boolean {
  return byte >= SPACE && byte <= TILDE;
}

/** Letters, digits and the hyphen. */
function isOfName(byte = 0): boolean {
  return (
    byte === 45 ||
    (byte >= 48 && byte <= 57) ||
    (byte >= 65 && byte <= 90) ||
    (byte >= 97 && byte <= 122)
  );
}
