import { type Listener, WireReader } from './wire-reader.ts';

const BINARY = 0x82;

// Tags of `client.proto` of github.com/centrifugal/protocol: field × 8 + wire type.
const REPLY_ID = 0x08;
const REPLY_ERROR = 0x12;
const REPLY_PUSH = 0x22;
const REPLY_CONNECT = 0x2a;
const REPLY_SUBSCRIBE = 0x32;
const PUSH_CHANNEL = 0x12;
const PUSH_PUBLICATION = 0x22;
const PUBLICATION_DATA = 0x22;
const PUBLICATION_OFFSET = 0x30;
const RESULT_EPOCH = 0x32;
const RESULT_PUBLICATION = 0x3a;
const RESULT_RECOVERED = 0x40;
const RESULT_OFFSET = 0x48;

/** What a reply says, in the words of the JSON protocol. */
interface Reply {
  id?: number;
  error?: string;
  connect?: object;
  subscribe?: { epoch?: string; offset?: number; recovered?: boolean };
}

/** `result`: a field of a subscription's result. */
type Kind = 'frame' | 'length' | 'push' | 'subscribe' | 'field' | 'publication' | 'result';

/**
 * Reads Centrifugo's Protobuf protocol over WebSocket: a frame has one or more replies, each behind its
 * length. It tells a reply as the JSON protocol writes it, and its publications one by one.
 */
export class CentrifugoProtobufReader extends WireReader {
  #kind: Kind = 'frame';
  #frameLeft = 0;
  #replyLeft = 0;
  #resultLeft = 0;
  #reply: Reply | undefined;
  /** Where the next varint is read, and the end of what there is of it. */
  #place = 0;
  #end = 0;

  constructor(listener: Listener, { timed }: { readonly timed: boolean }) {
    super(listener, timed);
  }

  protected measure(bytes: Buffer, at: number, end: number): void {
    if (this.#frameLeft === 0) {
      this.#kind = 'frame';
      this.#waitFor(end - at < 2 ? 2 : headerBytes(bytes[at + 1] as number));
      return;
    }
    this.#place = at;
    this.#end = end;
    if (this.#replyLeft === 0) {
      this.#kind = 'length';
      this.#waitFor(this.#varint(bytes) === undefined ? end - at + 1 : this.#place - at);
    } else this.#measureField(bytes, at);
  }

  protected take(bytes: Buffer, at: number): void {
    if (this.#kind === 'frame') {
      this.#takeHeader(bytes, at);
      return;
    }
    this.#frameLeft -= this.total;
    this.#place = at;
    this.#end = at + this.total;
    if (this.#kind === 'length') {
      this.#replyLeft = this.#varint(bytes) ?? 0;
      if (this.#replyLeft === 0) this.listener.onControl('{}');
      return;
    }
    const isInResult = this.#resultLeft > 0;
    this.#replyLeft -= this.total;
    if (isInResult) this.#resultLeft -= this.total;
    this.#takeField(bytes);
    if (this.#replyLeft > 0 || !this.#reply) return;
    this.listener.onControl(JSON.stringify(this.#reply));
    this.#reply = undefined;
  }

  #measureField(bytes: Buffer, at: number): void {
    const tag = this.#varint(bytes);
    const value = tag === undefined ? undefined : this.#varint(bytes);
    if (tag === undefined || value === undefined) {
      this.#waitFor(this.#end - at + 1);
      return;
    }
    const head = this.#place - at;
    const isMessage = (tag & 7) === 2;
    if (this.#resultLeft > 0) {
      this.#kind = tag === RESULT_PUBLICATION ? 'publication' : 'result';
    } else if (tag === REPLY_SUBSCRIBE) {
      // Its fields follow one by one: with publications it may be long.
      this.#kind = 'subscribe';
      this.#waitFor(head);
      return;
    } else this.#kind = tag === REPLY_PUSH ? 'push' : 'field';
    this.#waitFor(isMessage ? head + value : head);
  }

  #takeField(bytes: Buffer): void {
    const tag = this.#varint(bytes) ?? 0;
    const value = this.#varint(bytes) ?? 0;
    switch (this.#kind) {
      case 'push':
        this.#takePush(bytes);
        break;
      case 'publication':
        this.#takePublication(bytes, this.#end);
        break;
      case 'subscribe':
        this.#reply = { ...this.#reply, subscribe: {} };
        this.#resultLeft = value;
        break;
      case 'result':
        this.#takeOfResult(bytes, tag, value);
        break;
      default:
        this.#takeOfReply(bytes, tag, value);
    }
  }

  #takeOfReply(bytes: Buffer, tag: number, value: number): void {
    this.#reply ??= {};
    if (tag === REPLY_ID) this.#reply.id = value;
    else if (tag === REPLY_CONNECT) this.#reply.connect = {};
    else if (tag === REPLY_ERROR) this.#reply.error = this.#text(bytes);
  }

  #takeOfResult(bytes: Buffer, tag: number, value: number): void {
    const result = this.#reply?.subscribe;
    if (!result) return;
    if (tag === RESULT_EPOCH) result.epoch = this.#text(bytes);
    else if (tag === RESULT_OFFSET) result.offset = value;
    else if (tag === RESULT_RECOVERED) result.recovered = value === 1;
  }

  #takePush(bytes: Buffer): void {
    const start = this.#place;
    if (this.#varint(bytes) === PUSH_CHANNEL) {
      const length = this.#varint(bytes) ?? 0;
      this.#place += length;
      if (this.#varint(bytes) === PUSH_PUBLICATION) {
        const publicationBytes = this.#varint(bytes) ?? 0;
        this.#takePublication(bytes, this.#place + publicationBytes);
        return;
      }
    }
    const push = bytes.toString('latin1', start, this.#end);
    this.listener.onControl(JSON.stringify({ push }));
  }

  #takePublication(bytes: Buffer, end: number): void {
    if (this.#varint(bytes) !== PUBLICATION_DATA) {
      this.listener.onFault('a publication does not begin with its data');
      return;
    }
    const length = this.#varint(bytes) ?? 0;
    const eventAt = this.#place;
    this.#place += length;
    const hasOffset = this.#place < end && this.#varint(bytes) === PUBLICATION_OFFSET;
    this.event(bytes, eventAt, hasOffset ? (this.#varint(bytes) ?? 0) : 0);
  }

  #takeHeader(bytes: Buffer, at: number): void {
    if (bytes[at] !== BINARY) this.listener.onFault(`no frame begins with byte ${bytes[at]}`);
    if (this.total === 2) this.#frameLeft = bytes[at + 1] as number;
    else if (this.total === 4) this.#frameLeft = bytes.readUInt16BE(at + 2);
    else this.#frameLeft = bytes.readUInt32BE(at + 6);
  }

  #text(bytes: Buffer): string {
    return bytes.toString('latin1', this.#place, this.#end);
  }

  /** @returns the number at the present place, behind which the place moves; `undefined`: a part is missing */
  #varint(bytes: Buffer): number | undefined {
    let value = 0;
    for (let unit = 1; this.#place < this.#end; unit *= 128) {
      const byte = bytes[this.#place++] as number;
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
    return undefined;
  }

  #waitFor(bytes: number): void {
    this.need = bytes;
    this.total = bytes;
  }
}

function headerBytes(short: number): number {
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}
