import type { ServerMessage } from '@tidemark/protocol';
import { ChunkDecoder } from '../support/chunks.ts';
import type { LogVersion } from './versions.ts';

/** What a client decodes from the bytes: messages, and events with their JSON as it came. */
export type Received =
  | Exclude<ServerMessage, { readonly type: 'heartbeat' }>
  | { readonly type: 'heartbeat'; readonly cursor?: string }
  | { readonly type: 'event'; readonly cursor: string; readonly json: Buffer }
  /** An event before the start; `cursor` is empty where nothing tells it. */
  | {
      readonly type: 'last';
      readonly id: string;
      readonly cursor: string;
      readonly json: Buffer;
    };

export type Receive = (message: Received, version: LogVersion) => void;

export interface Decoder {
  /** Decodes bytes as they arrive, split at any place. */
  decode(bytes: Buffer, version: LogVersion): void;
}

const LAST = /^\{"type":"last","id":"([^"]+)","cursor":"([^"]+)","event":/;
const EVENT = /^\{"type":"event","cursor":"([^"]+)","event":/;

/** Decodes unmasked, unfragmented text frames (RFC 6455 section 5.2), each one JSON message. */
export class WebSocketDecoder implements Decoder {
  readonly #receive: Receive;
  #rest: Buffer = Buffer.alloc(0);

  constructor(receive: Receive) {
    this.#receive = receive;
  }

  decode(bytes: Buffer, version: LogVersion): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (let frame = this.#nextFrame(); frame; frame = this.#nextFrame()) {
      const event = EVENT.exec(frame.toString('latin1', 0, 100));
      if (event?.[1]) {
        const json = frame.subarray(event[0].length, -1);
        this.#receive({ type: 'event', cursor: event[1], json }, version);
      } else this.#receive(readLast(frame) ?? JSON.parse(frame.toString()), version);
    }
  }

  #nextFrame(): Buffer | undefined {
    const rest = this.#rest;
    if (rest.length < 2) return undefined;
    if (rest[0] !== 0x81) throw new Error(`A frame begins with ${rest[0]}.`);
    let length = rest[1] ?? 0;
    let start = 2;
    if (length >= 126) {
      start = length === 126 ? 4 : 10;
      if (rest.length < start) return undefined;
      length = length === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
    }
    const end = start + length;
    if (rest.length < end) return undefined;
    this.#rest = rest.subarray(end);
    return rest.subarray(start, end);
  }
}

function readLast(frame: Buffer): Received | undefined {
  const [head, id, cursor] = LAST.exec(frame.toString('latin1', 0, 200)) ?? [];
  if (head === undefined || id === undefined || cursor === undefined) return undefined;
  return { type: 'last', id, cursor, json: frame.subarray(head.length, -1) };
}

/** Decodes event stream blocks (WHATWG HTML section 9.2.6) into the messages of the WebSocket. */
export class SseDecoder implements Decoder {
  readonly #receive: Receive;
  readonly #chunks = new ChunkDecoder();
  #rest: Buffer = Buffer.alloc(0);
  #subscribed = false;

  constructor(receive: Receive) {
    this.#receive = receive;
  }

  decode(bytes: Buffer, version: LogVersion): void {
    const content = this.#chunks.decode(bytes);
    this.#rest = this.#rest.length === 0 ? content : Buffer.concat([this.#rest, content]);
    for (let end = this.#rest.indexOf('\n\n'); end !== -1; end = this.#rest.indexOf('\n\n')) {
      const block = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end + 2);
      const message = this.#read(block);
      if (!message) continue;
      if (message.type === 'gap') this.#beginWith(message.to, version);
      this.#receive(message, version);
    }
  }

  /** A subscription that begins with a gap has no other block for its begin. */
  #beginWith(cursor: string, version: LogVersion): void {
    if (this.#subscribed) return;
    this.#subscribed = true;
    this.#receive({ type: 'subscribed', id: '', cursor }, version);
  }

  #read(block: Buffer): Received | undefined {
    let cursor: string | undefined;
    let name: string | undefined;
    let data: Buffer | undefined;
    for (let start = 0; start < block.length; ) {
      const found = block.indexOf(10, start);
      const line = block.subarray(start, found === -1 ? block.length : found);
      start += line.length + 1;
      const field = line.toString('latin1', 0, line.indexOf(': '));
      const value = line.subarray(field.length + 2);
      if (field === 'id') cursor = value.toString();
      else if (field === 'event') name = value.toString();
      else if (field === 'data') data = value;
    }
    if (name !== undefined && name !== 'position') {
      return { type: name, id: '', ...JSON.parse(String(data)) };
    }
    if (cursor === undefined) return data && this.#readUnnamed(data, name);
    if (data && name === undefined) return { type: 'event', cursor, json: data };
    if (this.#subscribed) return { type: 'heartbeat', cursor };
    this.#subscribed = true;
    return { type: 'subscribed', id: '', cursor };
  }

  /** Without an id it is a last event, or the position before them. */
  #readUnnamed(data: Buffer, name: string | undefined): Received {
    if (name === undefined) return { type: 'last', id: '', cursor: '', json: data };
    this.#subscribed = true;
    return { type: 'subscribed', id: '', cursor: JSON.parse(String(data)).cursor };
  }
}
