import { type Listener, WireReader } from './wire-reader.ts';

const TEXT = 0x81;
const LF = 10;
const COMMA = 44;
const ZERO = 48;
const CLOSING_BRACE = 125;
const P = 112;
const U = 117;

/** A push begins so, and no reply does. */
const PUSH = '{"push":';
/** So many bytes tell a push from a reply. */
const KNOWN_AT = 4;
const PUBLICATION = '{"data":';
const LIST = Buffer.from('"publications":[');
/** A reply that has publications names them within so many bytes. */
const LIST_WITHIN = 400;
const OFFSET = ',"offset":';
/** How many bytes before the event the word `pub` begins. */
const PUB_BEFORE = `pub":${PUBLICATION}`.length;

type Kind = 'frame' | 'text' | 'push' | 'list' | 'item';

export interface CentrifugoReaderOptions {
  readonly timed: boolean;
  readonly eventBytes: number;
  /** The length of the names of the client's channels, which is the same for all. */
  readonly channelBytes: number;
}

/**
 * Reads Centrifugo's JSON protocol over WebSocket: a frame has one or more lines, each of which is a
 * reply or a push. The publications in the reply to a client that comes back are told one by one, so that
 * a client costs the load as little as one of the gateway.
 */
export class CentrifugoReader extends WireReader {
  readonly #eventBytes: number;
  /** Where the event begins in a push of a publication. */
  readonly #eventAt: number;
  #kind: Kind = 'frame';
  #frameLeft = 0;
  #inList = false;
  /** The reply without its publications, as far as it was read. */
  #reply = '';

  constructor(listener: Listener, { timed, eventBytes, channelBytes }: CentrifugoReaderOptions) {
    super(listener, timed);
    this.#eventBytes = eventBytes;
    this.#eventAt = `${PUSH}{"channel":"","pub":${PUBLICATION}`.length + channelBytes;
  }

  protected measure(bytes: Buffer, at: number, end: number): void {
    const there = end - at;
    if (this.#frameLeft === 0) {
      this.#kind = 'frame';
      this.total = there < 2 ? 2 : headerBytes(bytes[at + 1] as number);
      this.need = this.total;
      return;
    }
    const available = Math.min(there, this.#frameLeft);
    if (this.#inList) this.#measureItem(bytes, at, available);
    else this.#measureLine(bytes, at, available);
  }

  protected take(bytes: Buffer, at: number): void {
    if (this.#kind === 'frame') {
      this.#takeHeader(bytes, at);
      return;
    }
    this.#frameLeft -= this.total;
    if (this.#kind === 'push') this.#takeEvent(bytes, at + this.#eventAt);
    else if (this.#kind === 'item') {
      this.#takeEvent(bytes, at + PUBLICATION.length);
      this.#inList = bytes[at + this.total - 1] === COMMA;
      if (!this.#inList) this.#reply += ']';
    } else {
      this.#reply += bytes.toString('utf8', at, at + this.total);
      this.#inList = this.#kind === 'list';
      if (this.#inList) return;
      this.listener.onControl(this.#reply.trimEnd());
      this.#reply = '';
    }
  }

  #takeHeader(bytes: Buffer, at: number): void {
    if (bytes[at] !== TEXT) this.listener.onFault(`no frame begins with byte ${bytes[at]}`);
    if (this.total === 2) this.#frameLeft = bytes[at + 1] as number;
    else if (this.total === 4) this.#frameLeft = bytes.readUInt16BE(at + 2);
    else this.#frameLeft = bytes.readUInt32BE(at + 6);
  }

  /*
   * `need` must not fall when more bytes are there. So where the length of a message is not known yet, it
   * is one more byte than there are.
   */
  #measureLine(bytes: Buffer, at: number, available: number): void {
    if (available < KNOWN_AT && available < this.#frameLeft) {
      this.#waitFor(available + 1);
      return;
    }
    const isPush = bytes[at + 2] === P && bytes[at + 3] === U;
    if (isPush && this.#measurePush(bytes, at, available)) return;
    this.#measureText(bytes, at, available);
  }

  /** @returns whether it is the push of a publication, or more bytes are needed to know */
  #measurePush(bytes: Buffer, at: number, available: number): boolean {
    const least = this.#eventAt + this.#eventBytes;
    if (this.#frameLeft < least) return false;
    if (available < this.#eventAt) {
      this.#waitFor(available + 1);
      // A shorter push may be there already.
      return bytes.subarray(at, at + available).indexOf(LF) === -1;
    }
    // `"pub"` is where it is for a channel of this length.
    if (bytes[at + this.#eventAt - PUB_BEFORE] !== P) return false;
    this.#kind = 'push';
    this.#waitFor(least);
    if (available < least) return true;
    let place = least;
    while (place < available && bytes[at + place] !== LF) place++;
    if (place < available) this.#waitFor(place + 1);
    else this.#waitFor(Math.min(this.#frameLeft, available + 1));
    return true;
  }

  #measureText(bytes: Buffer, at: number, available: number): void {
    this.#kind = 'text';
    const line = bytes.subarray(at, at + available);
    const newline = line.indexOf(LF);
    const list = line.subarray(0, LIST_WITHIN).indexOf(LIST);
    if (list !== -1 && (newline === -1 || list < newline)) {
      this.#kind = 'list';
      this.#waitFor(list + LIST.length);
    } else if (newline !== -1) this.#waitFor(newline + 1);
    else this.#waitFor(Math.min(this.#frameLeft, available + 1));
  }

  #measureItem(bytes: Buffer, at: number, available: number): void {
    let place = PUBLICATION.length + this.#eventBytes;
    while (place < available && bytes[at + place] !== CLOSING_BRACE) place++;
    this.#kind = 'item';
    // The comma or the bracket after it is a part of it.
    this.#waitFor(place + 2);
  }

  #takeEvent(bytes: Buffer, at: number): void {
    let place = at + this.#eventBytes;
    let offset = 0;
    if (bytes[place] === COMMA) {
      for (place += OFFSET.length; isDigit(bytes[place] as number); place++) {
        offset = offset * 10 + (bytes[place] as number) - ZERO;
      }
    }
    // The first publication of a stream has its epoch behind the offset.
    if (bytes[place] !== CLOSING_BRACE && (offset === 0 || bytes[place] !== COMMA)) {
      this.listener.onFault(`no event of ${this.#eventBytes} bytes`);
    }
    this.event(bytes, at, offset);
  }

  #waitFor(bytes: number): void {
    this.need = bytes;
    this.total = bytes;
  }
}

function headerBytes(short: number): number {
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}
