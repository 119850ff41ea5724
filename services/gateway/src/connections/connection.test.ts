import { expect, test } from 'vitest';
import { createCore } from '../core.ts';
import type { Sink } from '../fan-out/sink.ts';
import type { Clock } from '../scheduling/clock.ts';
import { sseEncoder } from '../transports/sse/encoder.ts';
import { Connection } from './connection.ts';
import type { ConnectionObserver } from './observer.ts';

const clock: Clock = { nowMs: () => 0, soon: () => {}, after: () => () => {} };

const sink: Sink = {
  writable: true,
  unsentBytes: 0,
  takenBytes: 0,
  write: () => true,
  ping: () => {},
  close: () => {},
};

const observer: ConnectionObserver = {
  subscribed: () => undefined,
  unsubscribed: () => {},
  gap: () => {},
  closing: () => {},
};

test('gateway that lags: the position of a client that is ahead of it does not go back', async () => {
  const unused = async (): Promise<never> => {
    throw new Error('unused');
  };
  const bounds = { epoch: 'log', firstSequence: 1, lastSequence: 50 };
  const context = createCore({
    stream: {
      connected: true,
      bounds: async () => bounds,
      boundsReaching: async () => bounds,
      readSlice: unused,
      sequenceBefore: unused,
    },
    archive: { bounds: unused, readPage: unused, sequenceBefore: unused },
    clock,
    tail: { bytesMax: 1_000_000, eventsMax: 1000 },
    coldReadsMax: 1,
    coldWaitMs: 0,
  });
  // The feed has brought 10 of the 50 events.
  context.log.begin({ ...bounds, lastSequence: 10 });
  const connection = new Connection({ context, user: 'u', sink, encoder: sseEncoder, observer });
  await connection.subscribe('s', {
    patterns: ['a'],
    deliver: 'all',
    start: { kind: 'cursor', position: { epoch: 'log', sequence: 42 } },
  });
  expect(connection.position()).toEqual({ epoch: 'log', sequence: 42 });
});
