import {
  SSE_COMMENT,
  SSE_EVENT_PREFIX,
  sseBegin,
  sseEventSuffix,
  sseLive,
  toChunk,
  WEB_SOCKET_EVENT_SUFFIX,
  webSocketEventPrefix,
} from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { layOut, stamp } from '../wire/event-layout.ts';
import { SocketIoReader } from './socket-io-reader.ts';
import { SseReader } from './sse-reader.ts';
import { WebSocketReader } from './web-socket-reader.ts';
import type { Listener, WireReader } from './wire-reader.ts';

const EPOCH = 'mi1abc23';
const EVENT_BYTES = 300;
const HEAD = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n';
const EVENTS = 3;
const template = layOut('some.topic', EVENT_BYTES);

function event(counter: number): string {
  return stamp(template, { counter, timeUs: 1_000_000 + counter }).toString('latin1');
}

function frame(text: string, opcode = 0x81): Buffer {
  const short = text.length < 126;
  const header = Buffer.alloc(short ? 2 : 4);
  header[0] = opcode;
  header[1] = short ? text.length : 126;
  if (!short) header.writeUInt16BE(text.length, 2);
  return Buffer.concat([header, Buffer.from(text)]);
}

/** Sequences of one and of two digits: what follows them moves. */
const positions = [9, 10, 11].map((sequence) => ({ epoch: EPOCH, sequence }));

const webSocketBytes = Buffer.concat([
  Buffer.from(HEAD),
  frame('{"type":"welcome"}'),
  ...positions.map((position, index) =>
    frame(webSocketEventPrefix(position) + event(index + 1) + WEB_SOCKET_EVENT_SUFFIX),
  ),
  frame('', 0x89),
  frame('{"type":"error","code":"internal"}'),
]);

const sseBytes = Buffer.from(
  [
    HEAD,
    toChunk(sseBegin(2000, undefined)),
    ...positions.map((position, index) => {
      return toChunk(SSE_EVENT_PREFIX + event(index + 1) + sseEventSuffix(position));
    }),
    toChunk(SSE_COMMENT),
    toChunk(sseLive({ epoch: EPOCH, sequence: 11 })),
  ].join(''),
);

const socketIoBytes = Buffer.concat([
  Buffer.from(HEAD),
  frame('40{"sid":"x"}'),
  ...positions.map((_, index) => frame(`42["event",${event(index + 1)}]`)),
  frame('2'),
]);

interface Told {
  readonly heads: string[];
  readonly events: number[][];
  readonly controls: string[];
  readonly faults: string[];
  pings: number;
}

/** Reads all in pieces that end at these places, out of a buffer with remains of earlier reads. */
function readIn(
  bytes: Buffer,
  cuts: readonly number[],
  create: (listener: Listener, onPing: () => void) => WireReader,
): Told {
  const told: Told = { heads: [], events: [], controls: [], faults: [], pings: 0 };
  const listener: Listener = {
    onHead: (head) => told.heads.push(head),
    onEvent: (sequence, counter, timeUs) => told.events.push([sequence, counter, timeUs]),
    onControl: (text) => told.controls.push(text),
    onFault: (fault) => told.faults.push(fault),
  };
  const reader = create(listener, () => told.pings++);
  const buffer = Buffer.alloc(bytes.length, '9');
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    bytes.copy(buffer, 0, from, to);
    reader.read(buffer, to - from);
    from = to;
  }
  return told;
}

/** Wherever the network cuts the bytes in two or three, what is told is the same. */
function expectAnywhere(
  bytes: Buffer,
  create: (listener: Listener, onPing: () => void) => WireReader,
  expected: Told,
): void {
  for (let cut = 0; cut <= bytes.length; cut++) {
    const second = Math.min(bytes.length, cut + 7);
    expect(readIn(bytes, [cut], create), `cut at ${cut}`).toEqual(expected);
    expect(readIn(bytes, [cut, second], create), `cut at ${cut}, ${second}`).toEqual(expected);
  }
}

const counted = (sequences: readonly number[]) => {
  return sequences.map((sequence, index) => [sequence, index + 1, 1_000_001 + index]);
};

test('web socket reader: bytes cut anywhere: every event, control message and ping once', () => {
  expectAnywhere(
    webSocketBytes,
    (listener, onPing) => new WebSocketReader(listener, { epoch: EPOCH, timed: true, onPing }),
    {
      heads: [HEAD],
      events: counted([9, 10, 11]),
      controls: ['{"type":"welcome"}', '{"type":"error","code":"internal"}'],
      faults: [],
      pings: 1,
    },
  );
});

test('SSE reader: bytes cut anywhere: every event and block once', () => {
  expectAnywhere(
    sseBytes,
    (listener) => {
      return new SseReader(listener, { epoch: EPOCH, timed: true, eventBytes: EVENT_BYTES });
    },
    {
      heads: [HEAD],
      events: counted([9, 10, 11]),
      controls: [sseBegin(2000, undefined), SSE_COMMENT, sseLive({ epoch: EPOCH, sequence: 11 })],
      faults: [],
      pings: 0,
    },
  );
});

test('Socket.IO reader: bytes cut anywhere: every event and packet once', () => {
  expectAnywhere(socketIoBytes, (listener) => new SocketIoReader(listener, { timed: true }), {
    heads: [HEAD],
    events: counted(Array.from({ length: EVENTS }, () => 0)),
    controls: ['40{"sid":"x"}', '2'],
    faults: [],
    pings: 0,
  });
});

test('SSE reader: an event of another length than announced: a fault', () => {
  const told = readIn(sseBytes, [], (listener) => {
    return new SseReader(listener, { epoch: EPOCH, timed: true, eventBytes: EVENT_BYTES - 5 });
  });
  expect(told.faults).not.toEqual([]);
});
