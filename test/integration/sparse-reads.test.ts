import { readReplayConfiguration } from '@tidemark/config';
import { NatsLink, reconcileStream } from '@tidemark/nats';
import { createLogger } from '@tidemark/telemetry';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PatternSet } from '../../services/gateway/src/log/pattern-set.ts';
import { StreamReader } from '../../services/gateway/src/sources/stream-reader.ts';
import { listen, TRANSPORTS } from '../support/clients.ts';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import type { NewEvent } from '../support/publisher.ts';
import { makeToken, startService } from '../support/services.ts';
import { appendDirectly, metric } from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/*
 * A long stream, no replay service, one matching event at the end, and so little time for each read that
 * none comes to the end. Every read has to go on where the one before it stopped.
 */

const EVENTS = 300_000;
const APPENDED_AT_ONCE = 20_000;
const READ_MS = 200;
/** Clients whose reads take a minute together. */
const LEAVING = 200;

const SETUP_MS = 120_000;

/** Else the gateway would fill its tail with all of it. */
const SHORT_TAIL = { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '100' };

/** The server refuses filters that overlap, so the gateway filters these by itself. */
const OVERLAPPING = ['rare.*', '*.one'];

const logger = createLogger('test', 'silent');
let nats: NatsServer;
let link: NatsLink;

beforeAll(async () => {
  nats = await startNatsServer();
  link = await new NatsLink({ servers: nats.url, name: 'test', logger }).connect();
  await reconcileStream(link, readReplayConfiguration({}), logger);
  for (let start = 1; start < EVENTS; start += APPENDED_AT_ONCE) {
    const events = Array.from({ length: APPENDED_AT_ONCE }, (_, index): NewEvent => {
      const number = start + index;
      const type = number === EVENTS ? 'rare.one' : 'common';
      return { id: String(number), source: '/tests', type, data: number };
    });
    await appendDirectly(nats.url, events);
  }
}, SETUP_MS);
afterAll(async () => {
  await link.close();
  await nats.stop();
});

/** Reads on from each answer's end until an event comes. @returns the ends */
async function readOn(reader: StreamReader, patterns: readonly string[]): Promise<number[]> {
  const ends: number[] = [];
  for (let after = 0; after < EVENTS; after = ends.at(-1) ?? EVENTS) {
    const { entries, through } = await reader.readSlice({
      epoch: 'e',
      patterns: new PatternSet(patterns),
      after,
      through: EVENTS,
      eventsMax: 256,
    });
    expect(through).toBeGreaterThan(after);
    ends.push(through);
    if (through === EVENTS) expect(entries.map(({ topic }) => topic)).toEqual(['rare.one']);
    else expect(entries).toEqual([]);
  }
  return ends;
}

test('sparse read: time over in the middle: gives back how far it looked, and goes on there', async () => {
  const ends = await readOn(new StreamReader({ link, timeoutMs: READ_MS }), OVERLAPPING);
  expect(ends.length).toBeGreaterThan(1);
});

test('sparse read: a server that looks for matches for too long: goes on without its filter', async () => {
  const ends = await readOn(
    new StreamReader({ link: withoutFiltered(link), timeoutMs: 2 * READ_MS }),
    ['rare.*'],
  );
  expect(ends.length).toBeGreaterThan(1);
});

test('sparse read: given up by its caller: ends at once', async () => {
  const reader = new StreamReader({ link, timeoutMs: 60_000 });
  const leaving = new AbortController();
  const patterns = new PatternSet(['no.*', '*.where']);
  const query = { epoch: 'e', patterns, after: 0, through: EVENTS, eventsMax: 256 };
  const read = reader.readSlice(query, leaving.signal);
  leaving.abort(new Error('left'));
  await expect(read).rejects.toThrow('left');
});

test('catch-up: a sparse match over a long stream without replay: live, with the one event', async () => {
  const gateway = await startService('gateway', {
    natsUrl: nats.url,
    env: { ...SHORT_TAIL, TIDEMARK_GATEWAY_COLD_READ_TIMEOUT_MS: String(READ_MS) },
    waitUntilReady: false,
  });
  const token = await makeToken('subscribe:>');
  const listeners = TRANSPORTS.map((transport) => {
    const topics = OVERLAPPING.join(',');
    return listen(transport, { urls: [gateway.url], token, topics, after: 'earliest' });
  });
  try {
    for (const listener of listeners) {
      await until(() => listener.live, 'live');
      expect(listener.ids).toEqual([String(EVENTS)]);
      expect(listener.connections).toBe(1);
    }
  } finally {
    await Promise.all(listeners.map((listener) => listener.stop()));
    await gateway.stop();
  }
}, 60_000);

test('catch-up: hundreds of clients that begin a long one and leave: the next client is not delayed', async () => {
  const gateway = await startService('gateway', {
    natsUrl: nats.url,
    env: {
      ...SHORT_TAIL,
      TIDEMARK_GATEWAY_COLD_READS_MAX: '2',
      // The other limits are those of a user who does not leave.
      TIDEMARK_GATEWAY_HANDSHAKES_PER_SECOND_MAX: '10000',
    },
  });
  const token = await makeToken('subscribe:>');
  const leaving = Array.from(
    { length: LEAVING },
    () => new WebSocketClient(gateway.url, { token }),
  );
  for (const [index, client] of leaving.entries()) {
    await client.first('welcome');
    const topics = [`left${index}.*`, `*.left${index}`];
    client.send({ type: 'subscribe', id: 'a', topics, after: 'earliest' });
  }
  const waiting = () => metric(gateway, 'gateway_cold_reads_waiting');
  await until(async () => (await waiting()) > LEAVING / 2, 'reads that wait');
  const startMs = performance.now();
  await Promise.all(leaving.map((client) => client.close()));
  const options = { urls: [gateway.url], token, topics: 'rare.one', after: 'earliest' };
  const listener = listen('websocket', options);
  try {
    await until(() => listener.live, 'live');
    expect(performance.now() - startMs).toBeLessThan(5000);
    expect(await waiting()).toBe(0);
    expect(await metric(gateway, 'gateway_cold_reads_left_total')).toBeGreaterThan(LEAVING / 2);
  } finally {
    await listener.stop();
    await gateway.stop();
  }
}, 60_000);

/** A link on which no consumer with a filter is ever created, as if the server still looked for matches. */
function withoutFiltered(real: NatsLink): NatsLink {
  const connection = new Proxy(real.connection, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        const body = name === 'request' ? String(Buffer.from(args[1] as Uint8Array)) : '';
        const filters = body.includes('rare');
        return filters ? new Promise(() => {}) : Reflect.apply(value, target, args);
      };
    },
  });
  return new Proxy(real, {
    get(target, name) {
      const value = name === 'connection' ? connection : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
