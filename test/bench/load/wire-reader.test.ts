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
import { encodeJson, encodeProtobuf } from './centrifugo-commands.ts';
import { CentrifugoProtobufReader } from './centrifugo-protobuf-reader.ts';
import { CentrifugoReader } from './centrifugo-reader.ts';
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
  return Buffer.concat([header, Buffer.from(text, 'latin1')]);
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
      return new SseReader(listener, { epoch: EPOCH, timed: true });
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

const CHANNEL = 'some.topic';
const push = (index: number, offset = '') => {
  return `{"push":{"channel":"${CHANNEL}","pub":{"data":${event(index)}${offset}}}}`;
};
const publication = (index: number) => `{"data":${event(index)},"offset":${index + 8}}`;
const FIRST_OF_STREAM = ',"offset":1,"epoch":"abcd"';
const recovered = (items: string) => {
  return `{"id":2,"subscribe":{"recoverable":true,"epoch":"abcd","publications":[${items}],"recovered":true,"offset":11}}`;
};
const unsubscribed = `{"push":{"channel":"${CHANNEL}","unsubscribe":{"code":2500}}}`;

const centrifugoBytes = Buffer.concat([
  Buffer.from(HEAD),
  frame('{"id":1,"connect":{"client":"x","ping":25,"pong":true}}'),
  frame(`${recovered([1, 2, 3].map(publication).join(','))}\n{"id":3,"subscribe":{"offset":5}}`),
  frame('{}'),
  frame([4, 5].map((index) => push(index, `,"offset":${index + 8}`)).join('\n')),
  frame(`${push(6)}\n{}\n${push(7)}`),
  frame(push(8, FIRST_OF_STREAM)),
  frame(unsubscribed),
]);

test('Centrifugo reader: bytes cut anywhere: every publication and reply once', () => {
  const options = { timed: true, eventBytes: EVENT_BYTES, channelBytes: CHANNEL.length };
  expectAnywhere(centrifugoBytes, (listener) => new CentrifugoReader(listener, options), {
    heads: [HEAD],
    events: counted([9, 10, 11, 12, 13, 0, 0, 1]),
    controls: [
      '{"id":1,"connect":{"client":"x","ping":25,"pong":true}}',
      recovered(''),
      '{"id":3,"subscribe":{"offset":5}}',
      '{}',
      '{}',
      unsubscribed,
    ],
    faults: [],
    pings: 0,
  });
});

/** A message of Protobuf from the numbers of its fields and their values. */
function message(...fields: [number, number | string | Buffer][]): Buffer {
  return Buffer.concat(
    fields.map(([field, value]) => {
      if (typeof value === 'number') return Buffer.from([field * 8, ...varint(value)]);
      const bytes = Buffer.from(value);
      return Buffer.concat([Buffer.from([field * 8 + 2, ...varint(bytes.length)]), bytes]);
    }),
  );
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

function binaryFrame(...messages: Buffer[]): Buffer {
  const text = messages.map((one) => Buffer.concat([Buffer.from(varint(one.length)), one]));
  return frame(Buffer.concat(text).toString('latin1'), 0x82);
}

const pushed = (index: number, ...more: [number, number | string][]) => {
  return message([4, message([2, CHANNEL], [4, message([4, event(index)], ...more)])]);
};
const published = [1, 2, 3].map((index): [number, Buffer] => {
  return [7, message([4, event(index)], [6, index + 8])];
});
const subscribed = message([3, 1], [6, 'abcd'], ...published, [8, 1], [9, 11], [10, 1]);

const protobufBytes = Buffer.concat([
  Buffer.from(HEAD),
  binaryFrame(message([1, 1], [5, message([1, 'client'], [7, 1])])),
  binaryFrame(message([1, 2], [6, subscribed]), message([1, 300], [6, message([9, 5])])),
  binaryFrame(Buffer.alloc(0)),
  binaryFrame(pushed(4, [6, 12]), Buffer.alloc(0), pushed(5), pushed(6, [6, 1], [14, 'abcd'])),
  binaryFrame(message([1, 4], [6, Buffer.alloc(0)]), message([1, 5], [2, message([1, 103])])),
  binaryFrame(message([4, message([2, CHANNEL], [7, message([1, 2500])])])),
]);

test('Centrifugo reader, Protobuf: bytes cut anywhere: every publication and reply once', () => {
  const told = (listener: Listener) => new CentrifugoProtobufReader(listener, { timed: true });
  expectAnywhere(protobufBytes, told, {
    heads: [HEAD],
    events: counted([9, 10, 11, 12, 0, 1]),
    controls: [
      '{"id":1,"connect":{}}',
      '{"id":2,"subscribe":{"epoch":"abcd","recovered":true,"offset":11}}',
      '{"id":300,"subscribe":{"offset":5}}',
      '{}',
      '{}',
      '{"id":4,"subscribe":{}}',
      expect.stringContaining('"id":5,"error":'),
      expect.stringContaining('"push":'),
    ] as string[],
    faults: [],
    pings: 0,
  });
});

test('commands of Centrifugo: in Protobuf: have the fields that they have in JSON', () => {
  const subscribe = { channel: CHANNEL, recover: true, epoch: 'abcd', offset: 300 };
  const commands = [
    { id: 1, connect: { token: 'x'.repeat(200) } },
    { id: 2, subscribe },
  ];
  expect(
    encodeJson(commands)
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(commands);
  const expected = [
    message([1, 1], [4, message([1, 'x'.repeat(200)])]),
    message([1, 2], [5, message([1, CHANNEL], [3, 1], [6, 'abcd'], [7, 300])]),
  ].flatMap((one) => [Buffer.from(varint(one.length)), one]);
  expect(encodeProtobuf(commands)).toEqual(Buffer.concat(expected));
});

test('Centrifugo reader: an event of another length than announced: a fault', () => {
  const told = readIn(centrifugoBytes, [], (listener) => {
    const options = { timed: true, eventBytes: EVENT_BYTES - 5, channelBytes: CHANNEL.length };
    return new CentrifugoReader(listener, options);
  });
  expect(told.faults).not.toEqual([]);
});

test('Socket.IO reader: a server that recovers sessions: the id of the last packet', () => {
  const frames = ['first', 'last'].map((id, index) => frame(`42["event",${event(index)},"${id}"]`));
  const readers: SocketIoReader[] = [];
  const told = readIn(Buffer.concat([Buffer.from(HEAD), ...frames]), [400], (listener) => {
    const reader = new SocketIoReader(listener, { timed: true, recovers: true });
    readers.push(reader);
    return reader;
  });
  expect(told.events.length).toBe(2);
  expect(readers[0]?.lastOffset).toBe('last');
});

test('SSE reader: an event of a log with another name: a fault', () => {
  const told = readIn(sseBytes, [], (listener) => {
    return new SseReader(listener, { epoch: `${EPOCH}1`, timed: true });
  });
  expect(told.faults).not.toEqual([]);
});
