import { formatCursor } from '@tidemark/protocol';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as webSockets from 'ws';
import { ChunkDecoder } from '../../../../test/support/chunks.ts';
import type { Encoder } from '../connections/encoder.ts';
import { EventEntry } from '../log/event-entry.ts';
import { plainSseEncoder, sseEncoder } from './sse/encoder.ts';
import { webSocketEncoder } from './websocket/encoder.ts';

/** The receiving side of `ws`, which is missing in its types. */
const { Receiver } = webSockets as unknown as {
  Receiver: new (options: object) => NodeJS.WritableStream;
};

const position = fc.record({
  epoch: fc.stringMatching(/^[a-z0-9.]{1,40}$/),
  sequence: fc.maxSafeNat(),
});
/** JSON on one line, also with the lengths at which a frame's header changes. */
const json = fc.oneof(
  fc.json(),
  fc.integer({ min: 0, max: 200 }).map((length) => JSON.stringify('x'.repeat(length))),
  fc.integer({ min: 65_300, max: 65_700 }).map((length) => JSON.stringify('é'.repeat(length / 2))),
);
const event = fc.record({ position, json });
const gap = fc.record({
  from: position,
  to: position,
  reason: fc.constantFrom('expired', 'epoch', 'future'),
});

type Written = { readonly position: { epoch: string; sequence: number }; readonly json: string };

function entryOf({ position: { epoch, sequence }, json: text }: Written): EventEntry {
  return new EventEntry(epoch, { sequence, topic: 'a', timeMs: 0, json: Buffer.from(text) });
}

function frameOf(encoder: Encoder, written: Written): Buffer {
  return entryOf(written).frame(encoder);
}

/** The messages that `ws` reads from the bytes when they arrive in two parts. */
async function receive(bytes: Buffer, cutAt: number): Promise<unknown[]> {
  const messages: unknown[] = [];
  const receiver = new Receiver({ isServer: false, allowSynchronousEvents: true });
  receiver.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString('utf8'))));
  const done = new Promise<void>((resolve, reject) => {
    receiver.on('error', reject);
    receiver.on('finish', resolve);
  });
  receiver.write(bytes.subarray(0, cutAt));
  receiver.end(bytes.subarray(cutAt));
  await done;
  return messages;
}

function parse(bytes: Buffer): EventSourceMessage[] {
  const body = new ChunkDecoder().decode(bytes).toString('utf8');
  const messages: EventSourceMessage[] = [];
  createParser({ onEvent: (message) => void messages.push(message) }).feed(body);
  return messages;
}

describe('WebSocket frames', () => {
  test('events: any, several in one write, cut anywhere: read by ws as they were', async () => {
    const check = fc.asyncProperty(
      fc.array(event, { minLength: 1, maxLength: 4 }),
      fc.nat(),
      async (events, cut) => {
        const bytes = Buffer.concat(events.map((one) => frameOf(webSocketEncoder, one)));
        const expected = events.map((one) => ({
          type: 'event',
          cursor: formatCursor(one.position),
          event: JSON.parse(one.json),
        }));
        expect(await receive(bytes, cut % bytes.length)).toEqual(expected);
      },
    );
    await fc.assert(check, { numRuns: 200 });
  });

  test('events: the room that is asked for a frame: is what it takes', () => {
    fc.assert(
      fc.property(fc.constantFrom(webSocketEncoder, sseEncoder), event, (encoder, one) => {
        const entry = entryOf(one);
        const target = Buffer.alloc(entry.frameBytes(encoder) + 8);
        expect(entry.writeFrame(encoder, target, 3)).toBe(target.length - 5);
        expect(target.subarray(3, -5).equals(entry.frame(encoder))).toBe(true);
      }),
    );
  });

  test('messages: each kind: read by ws with its fields', async () => {
    const at = { epoch: 'e', sequence: 7 };
    const error = { code: 'not_found', message: 'ü', retryable: false } as const;
    const bytes = Buffer.concat([
      webSocketEncoder.subscribed('s', at) ?? Buffer.alloc(0),
      webSocketEncoder.live('s', at),
      webSocketEncoder.heartbeat(at),
      webSocketEncoder.heartbeat(undefined),
      webSocketEncoder.error(undefined, error),
      webSocketEncoder.error('s', error),
      webSocketEncoder.unsubscribed('s') ?? Buffer.alloc(0),
    ]);
    expect(await receive(bytes, 5)).toEqual([
      { type: 'subscribed', id: 's', cursor: 'e-7' },
      { type: 'live', id: 's', cursor: 'e-7' },
      { type: 'heartbeat', cursor: 'e-7' },
      { type: 'heartbeat' },
      { type: 'error', ...error },
      { type: 'error', id: 's', ...error },
      { type: 'unsubscribed', id: 's' },
    ]);
  });

  test('gaps: any: read by ws as they were', async () => {
    const check = fc.asyncProperty(fc.string(), gap, async (id, told) => {
      const bytes = webSocketEncoder.gap(id, told);
      const [from, to] = [formatCursor(told.from), formatCursor(told.to)];
      expect(await receive(bytes, 1)).toEqual([{ type: 'gap', id, from, to, reason: told.reason }]);
    });
    await fc.assert(check);
  });
});

describe('last events', () => {
  test('any, several in one write, over WebSocket: read by ws with the id of their subscription', async () => {
    const check = fc.asyncProperty(
      fc.array(event, { minLength: 1, maxLength: 3 }),
      fc.constantFrom('s', 'ü "quoted" \u{1f600}', '字'),
      async (events, id) => {
        const encoder = webSocketEncoder.last(id);
        const bytes = Buffer.concat(events.map((one) => entryOf(one).frame(encoder)));
        const expected = events.map(({ position, json }) => {
          return { type: 'last', id, cursor: formatCursor(position), event: JSON.parse(json) };
        });
        expect(await receive(bytes, events.length)).toEqual(expected);
        for (const one of events) {
          const entry = entryOf(one);
          expect(entry.frameBytes(encoder)).toBe(entry.frame(encoder).length);
        }
      },
    );
    await fc.assert(check, { numRuns: 30 });
  });

  test('any, several in one write, over SSE: events without an id, like their position and gaps', () => {
    const at = { epoch: 'e', sequence: 7 };
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 3 }), (events) => {
        const encoder = sseEncoder.last('');
        const frames = events.map((one) => entryOf(one).frame(encoder));
        const bytes = Buffer.concat([
          sseEncoder.subscribed('', at, 'last') ?? Buffer.alloc(0),
          sseEncoder.lastGap('', { from: at, to: at, reason: 'expired' }),
          ...frames,
        ]);
        const data = (json: string) => ({ id: undefined, event: undefined, data: json });
        expect(parse(bytes)).toEqual([
          { id: undefined, event: 'position', data: '{"cursor":"e-7"}' },
          {
            id: undefined,
            event: 'gap',
            data: '{"from":"e-7","to":"e-7","reason":"expired"}',
          },
          ...events.map(({ json }) => data(json)),
        ]);
        const plain = events.map((one) => entryOf(one).frame(plainSseEncoder.last('')));
        const decoded = new ChunkDecoder().decode(Buffer.concat(frames));
        expect(decoded.equals(Buffer.concat(plain))).toBe(true);
      }),
    );
  });
});

describe('SSE blocks', () => {
  test('events: any, several in one write: read by eventsource-parser as they were', () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 4 }), (events) => {
        const bytes = Buffer.concat(events.map((one) => frameOf(sseEncoder, one)));
        const expected = events.map((one) => ({
          id: formatCursor(one.position),
          event: undefined,
          data: one.json,
        }));
        expect(parse(bytes)).toEqual(expected);
        // Without chunks the blocks are the same.
        const plain = Buffer.concat(events.map((one) => frameOf(plainSseEncoder, one)));
        expect(new ChunkDecoder().decode(bytes).equals(plain)).toBe(true);
      }),
    );
  });

  test('messages: each kind: read with its name, its cursor and its fields', () => {
    const at = { epoch: 'e', sequence: 7 };
    const error = { code: 'unavailable', message: 'a\nb', retryable: true } as const;
    const [live, gapTold, failed] = parse(
      Buffer.concat([
        sseEncoder.live('', at),
        sseEncoder.gap('', { from: at, to: { epoch: 'f', sequence: 0 }, reason: 'epoch' }),
        sseEncoder.error('', error),
      ]),
    );
    expect(live).toEqual({ id: 'e-7', event: 'live', data: '{"cursor":"e-7"}' });
    expect(gapTold).toMatchObject({ id: 'f-0', event: 'gap' });
    expect(JSON.parse(gapTold?.data ?? '')).toEqual({ from: 'e-7', to: 'f-0', reason: 'epoch' });
    expect(failed).toMatchObject({ id: undefined, event: 'error' });
    expect(JSON.parse(failed?.data ?? '')).toEqual(error);
  });

  test('events, positions, gaps: the id is the last line: what is cut off before its end has none', () => {
    // Some clients take the id of a block that was cut within its data, and never get its event.
    const at = { epoch: 'e', sequence: 7 };
    const blocks = [
      frameOf(plainSseEncoder, { position: at, json: '{"data":"\\nid: "}' }),
      plainSseEncoder.live('', at),
      plainSseEncoder.heartbeat(at),
      plainSseEncoder.skipped('', 1, at),
      plainSseEncoder.gap('', { from: at, to: at, reason: 'epoch' }),
    ];
    for (const block of blocks)
      expect(block.toString()).toMatch(/^(event: .*\n)?data: .*\nid: e-7\n\n$/);
  });

  test('position: at the beginning and as a heartbeat: of a type of its own; a comment: nothing', () => {
    const at = { epoch: 'e', sequence: 7 };
    const blocks = [sseEncoder.subscribed('', at) ?? Buffer.alloc(0), sseEncoder.heartbeat(at)];
    const position = { id: 'e-7', event: 'position', data: '{"cursor":"e-7"}' };
    const all = Buffer.concat([...blocks, sseEncoder.heartbeat(undefined)]);
    expect(parse(all)).toEqual([position, position]);
    // With a gap next, a client that is cut off in between must come back for the gap.
    expect(sseEncoder.subscribed('', at, 'gap')).toBeUndefined();
  });
});
