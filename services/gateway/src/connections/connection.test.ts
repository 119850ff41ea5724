import type { LogBounds } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { createCore } from '../core.ts';
import type { Sink } from '../fan-out/sink.ts';
import { EventEntry } from '../log/event-entry.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { ArchiveTier } from '../sources/cold-reads.ts';
import { sseEncoder } from '../transports/sse/encoder.ts';
import { Connection } from './connection.ts';
import type { ConnectionContext } from './context.ts';
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

const unused = async (): Promise<never> => {
  throw new Error('unused');
};

/** The options of a connection, and all that it has written. */
function recorded(context: ConnectionContext) {
  let text = '';
  const write = (bytes: Uint8Array): boolean => {
    text += Buffer.from(bytes).toString();
    return true;
  };
  const options = {
    ...{ context, user: 'u', encoder: sseEncoder, observer },
    sink: { ...sink, write },
  };
  return { options, written: () => text };
}

/** Runs turns until none is left, also none that an answer lets begin. */
async function settle(turns: (() => void)[]): Promise<void> {
  for (let round = 0; round < 50; round++) {
    while (turns.length > 0) turns.shift()?.();
    await Promise.resolve();
  }
}

function coreWith(bounds: LogBounds, ownClock = clock, archive: Partial<ArchiveTier> = {}) {
  return createCore({
    stream: {
      connected: true,
      bounds: async () => bounds,
      boundsReaching: async () => bounds,
      readSlice: unused,
      readSlices: unused,
      sequenceBefore: unused,
    },
    archive: {
      bounds: unused,
      readPage: unused,
      findLast: unused,
      readEvents: unused,
      sequenceBefore: unused,
      ...archive,
    },
    clock: ownClock,
    tail: { bytesMax: 1_000_000, eventsMax: 1000 },
    coldReadsMax: 1,
    coldWaitMs: 0,
  });
}

test('gateway that lags: the position of a client that is ahead of it does not go back', async () => {
  const bounds = { epoch: 'log', firstSequence: 1, lastSequence: 50 };
  const context = coreWith(bounds, { ...clock, soon: setImmediate });
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

test('one answer that resolves the starts of many: they begin in turns, and another user comes between', async () => {
  const bounds = { epoch: 'log', firstSequence: 1, lastSequence: 50 };
  const turns: (() => void)[] = [];
  let nowMs = 0;
  const begun: string[] = [];
  const spending = {
    ...observer,
    subscribed: ({ id }: { readonly id: string }) => {
      nowMs++;
      begun.push(id);
      return undefined;
    },
  };
  const context = coreWith(bounds, {
    ...clock,
    nowMs: () => nowMs,
    soon: (turn) => void turns.push(turn),
  });
  context.log.begin(bounds);
  const open = (user: string) =>
    new Connection({ context, user, sink, encoder: sseEncoder, observer: spending });
  const latest = { patterns: ['a'], deliver: 'all', start: { kind: 'latest' } } as const;
  const all = ['greedy', 'modest'].flatMap((user) => {
    const connection = open(user);
    const count = user === 'greedy' ? 50 : 1;
    return Array.from({ length: count }, (_, n) => connection.subscribe(`${user} ${n}`, latest));
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toEqual([]);
  turns.shift()?.();
  expect(begun.length).toBeLessThan(5);
  while (turns.length > 0) turns.shift()?.();
  await Promise.all(all);
  expect(begun).toHaveLength(51);
  expect(begun.indexOf('modest 0')).toBeLessThan(3);
});

test('last events that an archive has yet to give: no position to come back with, also not that of others', async () => {
  const bounds = { epoch: 'log', firstSequence: 1, lastSequence: 50 };
  const turns: (() => void)[] = [];
  const ownClock: Clock = { ...clock, soon: (turn) => void turns.push(turn) };
  let give = (): void => {};
  const context = coreWith(bounds, ownClock, {
    findLast: async () => ({ through: 50, sequences: [7], missing: [] }),
    readEvents: () => {
      return new Promise((resolve) => {
        give = () => resolve({ entries: [], through: 7 });
      });
    },
  });
  context.log.begin(bounds);
  const connection = new Connection({ context, user: 'u', sink, encoder: sseEncoder, observer });
  const position = { epoch: 'log', sequence: 50 };
  const start = { kind: 'cursor', position } as const;
  await connection.subscribe('other', { patterns: ['b'], deliver: 'all', start });
  expect(connection.position()).toEqual(position);
  const last = { patterns: ['a'], deliver: 'all', start: { kind: 'last' } } as const;
  const subscribed = connection.subscribe('s', last);
  await settle(turns);
  await subscribed;
  expect(connection.position()).toBeUndefined();
  give();
  await settle(turns);
  expect(connection.position()).toEqual(position);
});

test('last events that the log loses before they came: the subscription ends; with those that it keeps it goes on', async () => {
  const bounds = { epoch: 'log', firstSequence: 1, lastSequence: 50 };
  for (const { kept, errors } of [
    { kept: 49, errors: 1 },
    { kept: 50, errors: 0 },
  ]) {
    const running = { ...clock, soon: queueMicrotask };
    const context = coreWith(bounds, running, {
      findLast: async () => ({ through: 50, sequences: [7, 50], missing: [] }),
      readEvents: () => new Promise(() => {}),
    });
    context.log.begin({ ...bounds, lastSequence: 60 });
    const { options, written } = recorded(context);
    const connection = new Connection(options);
    await connection.subscribe('s', { patterns: ['a'], deliver: 'all', start: { kind: 'last' } });
    context.log.begin({ ...bounds, lastSequence: kept });
    expect(written().split('"code":"unavailable"')).toHaveLength(errors + 1);
    expect(connection.has('s')).toBe(errors === 0);
  }
});

test('latest, an event is lost for which another was skipped: told back to before the skipped one', async () => {
  const bounds = { epoch: 'log', firstSequence: 1, lastSequence: 0 };
  const turns: (() => void)[] = [];
  const context = coreWith(bounds, { ...clock, soon: (turn) => void turns.push(turn) });
  context.log.begin(bounds);
  // A frame of `b` fills the socket, so the newer `a` is not written.
  for (const [index, topic] of ['a', 'b', 'a'].entries()) {
    const json = Buffer.from(JSON.stringify({ topic, data: 'x'.repeat(50_000) }));
    context.log.appendEvent({ sequence: index + 1, topic, timeMs: 0, json });
  }
  const written: string[] = [];
  const full = {
    ...sink,
    write: (bytes: Uint8Array) => written.push(Buffer.from(bytes).toString()) > 0,
    get writable() {
      return !written.some((frame) => frame.includes('"topic":"b"'));
    },
  };
  const connection = new Connection({
    context,
    user: 'u',
    sink: full,
    encoder: sseEncoder,
    observer,
  });
  await connection.subscribe('s', {
    patterns: ['>'],
    deliver: 'latest',
    start: { kind: 'cursor', position: { epoch: 'log', sequence: 0 } },
  });
  while (turns.length > 0) turns.shift()?.();
  expect(connection.position()?.sequence).toBe(2);
  context.log.begin({ ...bounds, lastSequence: 2 });
  expect(written.at(-1)).toContain('"from":"log-2","to":"log-0","reason":"future"');
});

test('a subscription joins while the group has yet to deliver an event: the event comes', async () => {
  const bounds = { epoch: 'log', firstSequence: 1, lastSequence: 0 };
  const turns: (() => void)[] = [];
  const context = coreWith(bounds, { ...clock, soon: (turn) => void turns.push(turn) });
  const runTurns = (): void => {
    while (turns.length > 0) turns.shift()?.();
  };
  context.log.begin(bounds);
  const { options, written } = recorded(context);
  const connection = new Connection(options);
  const neighbour = new Connection({ ...options, sink });
  const subscribe = (id: string, sequence: number, by = connection) =>
    by.subscribe(id, {
      patterns: [id],
      deliver: 'all',
      start: { kind: 'cursor', position: { epoch: 'log', sequence } },
    });
  await subscribe('a', 0);
  await subscribe('a', 0, neighbour);
  runTurns();
  const json = Buffer.from(JSON.stringify({ topic: 'a' }));
  context.log.appendEvent({ sequence: 1, topic: 'a', timeMs: 0, json });
  await subscribe('b', 1);
  runTurns();
  expect(written().split('{"topic":"a"}')).toHaveLength(2);
});

test('last events while another subscription is live on their topic: it waits for them, and a newer event comes once', async () => {
  const bounds = { epoch: 'log', firstSequence: 1, lastSequence: 50 };
  const turns: (() => void)[] = [];
  let give = (): void => {};
  const eventAt = (sequence: number) => {
    const json = Buffer.from(JSON.stringify({ topic: 'a', id: `event ${sequence}` }));
    return { sequence, topic: 'a', timeMs: 0, json };
  };
  const context = coreWith(
    bounds,
    { ...clock, soon: (turn) => void turns.push(turn) },
    {
      findLast: async () => ({ through: 50, sequences: [7], missing: [] }),
      readEvents: () => {
        return new Promise((resolve) => {
          const entries = [new EventEntry('log', eventAt(7))];
          give = () => resolve({ entries, through: 7 });
        });
      },
    },
  );
  context.log.begin(bounds);
  const { options, written } = recorded(context);
  const connection = new Connection(options);
  const all = { patterns: ['a'], deliver: 'all' } as const;
  const start = { kind: 'cursor', position: { epoch: 'log', sequence: 50 } } as const;
  await connection.subscribe('live', { ...all, start });
  const subscribed = connection.subscribe('last', { ...all, start: { kind: 'last' } });
  await settle(turns);
  await subscribed;
  context.log.appendEvent(eventAt(51));
  await settle(turns);
  const events = () => [...written().matchAll(/event (\d+)/g)].map(([, sequence]) => sequence);
  expect(events()).toEqual([]);
  give();
  await settle(turns);
  expect(events()).toEqual(['7', '51']);
});

test('last events, the log lost its end meanwhile: what another topic has in the place of one is not given out', async () => {
  const bounds = { epoch: 'log', firstSequence: 1, lastSequence: 50 };
  const turns: (() => void)[] = [];
  const entryAt = (sequence: number, topic: string): EventEntry => {
    const json = Buffer.from(JSON.stringify({ topic, id: `event ${sequence}` }));
    return new EventEntry('log', { sequence, topic, timeMs: 0, json });
  };
  const context = coreWith(
    bounds,
    { ...clock, soon: (turn) => void turns.push(turn) },
    {
      findLast: async () => ({ through: 50, sequences: [7, 9], missing: [] }),
      readEvents: async () => ({ entries: [entryAt(7, 'a'), entryAt(9, 'b')], through: 9 }),
    },
  );
  context.log.begin(bounds);
  const { options, written } = recorded(context);
  const connection = new Connection(options);
  const start = { kind: 'last' } as const;
  const subscribed = connection.subscribe('s', { patterns: ['a'], deliver: 'all', start });
  await settle(turns);
  await subscribed;
  await settle(turns);
  expect(written().match(/event \d+/g)).toEqual(['event 7']);
});
