import { setTimeout as sleep } from 'node:timers/promises';
import { CLOSE_CODES } from '@tidemark/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { TRANSPORTS, untilEvents } from '../support/clients.ts';
import { freeze } from '../support/freeze.ts';
import { makeToken } from '../support/services.ts';
import {
  appendDirectly,
  ids,
  nameOf,
  namesOf,
  numbered,
  publishUntil,
  type System,
  series,
  startSystem,
  storeArchived,
  streamEvents,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import type { WebSocketClient } from '../support/web-socket-client.ts';

/* A gateway goes, killed or told to: its clients go on at another one and miss nothing. */

const TOPIC = 'failures';

/** More than a gateway takes in before it reads what its clients say. */
const BACKLOG = 8000;

/** More than NATS sends to somebody who does not answer. */
const FLOOD = 3000;
const LARGE_TEXT = 'x'.repeat(5000);

/** Less than the gateway's default limit for one connection. */
const PUBLISHES_UNDER_WAY = 32;

let system: System | undefined;
afterEach(async () => {
  await system?.stop();
  system = undefined;
});

async function start(env: Record<string, string> = {}): Promise<System> {
  system = await startSystem({ gateways: 2, env });
  return system;
}

/** Listeners over both transports, half of them on each gateway first. */
function listenEverywhere({ listen, gateways }: System) {
  const urls = gateways.map(({ url }) => url);
  return TRANSPORTS.flatMap((transport) =>
    [urls, urls.toReversed()].map((order) =>
      listen(transport, { topics: `${TOPIC}.*`, after: 'earliest', urls: order }),
    ),
  );
}

describe.each([
  ['killed', 'SIGKILL', null],
  ['told to end', 'SIGTERM', 0],
] as const)('a gateway is %s (%s)', (_, signal, exitCode) => {
  test('under load, first one, then the other: each client receives exactly the stream', async () => {
    const { gateways, publisher, nats, ...rest } = await start();
    const listeners = listenEverywhere({ gateways, publisher, nats, ...rest });
    for (const listener of listeners) await until(() => listener.live);
    let done = false;
    const publishing = ['a', 'b', 'c'].map((name) =>
      publishUntil(() => done, `${TOPIC}.${name}`, publisher),
    );
    for (const gateway of gateways) {
      const before = listeners.map(({ ids }) => ids.length);
      await until(() =>
        listeners.every(({ ids }, index) => ids.length > (before[index] ?? 0) + 50),
      );
      expect(await gateway.kill(signal)).toBe(exitCode);
      await sleep(100);
      await gateway.restart();
    }
    const before = listeners.map(({ ids }) => ids.length);
    await until(() => listeners.every(({ ids }, index) => ids.length > (before[index] ?? 0) + 50));
    done = true;
    const acknowledged = (await Promise.all(publishing)).flat();

    const stored = (await streamEvents(nats.url)).map(nameOf);
    expect(stored.toSorted()).toEqual(acknowledged.sort());
    for (const listener of listeners) {
      await untilEvents(listener, stored.length);
      expect(namesOf(listener)).toEqual(stored);
      expect(listener.gaps).toEqual([]);
      expect(listener.connections).toBeGreaterThan(1);
    }
    expect(publisher.refusals).toEqual([]);
  });
});

describe('SIGTERM', () => {
  test('connected clients: WebSocket close 4000, SSE error event: both say come back', async () => {
    const { listen, gateway, open } = await start();
    const urls = [gateway.url];
    const listeners = TRANSPORTS.map((transport) => listen(transport, { topics: TOPIC, urls }));
    for (const listener of listeners) await until(() => listener.live);
    const silent = open();
    await silent.first('welcome');
    expect(await gateway.kill('SIGTERM')).toBe(0);

    const [webSocket, sse] = listeners;
    expect(webSocket?.received[1]).toEqual({ type: 'closed', code: CLOSE_CODES.going_away });
    expect((await silent.closed).code).toBe(CLOSE_CODES.going_away);
    await until(() => sse?.live === false);
    expect(sse?.received.slice(1, 3)).toMatchObject([
      { type: 'error', code: 'unavailable', retryable: true },
      { type: 'closed' },
    ]);
  });

  test('meanwhile: not ready, no handshake is taken, and connections end spread over drainMs', async () => {
    const { gateway, open, token } = await start({ TIDEMARK_GATEWAY_DRAIN_MS: '4000' });
    const clients = Array.from({ length: 20 }, () => open());
    const ends: number[] = [];
    for (const client of clients) {
      await client.first('welcome');
      client.closed.then(() => ends.push(performance.now()));
    }
    const ended = gateway.kill('SIGTERM');
    await until(async () => (await fetch(`${gateway.url}/readyz`)).status === 503);
    const late = open();
    expect((await late.closed).code).toBe(1006);
    expect(late.opened).toBe(false);
    const headers = { authorization: `Bearer ${token}` };
    await expect(fetch(`${gateway.url}/v1/sse?topics=${TOPIC}`, { headers })).rejects.toThrow();
    expect(clients.filter(({ socket }) => socket.readyState === socket.OPEN)).not.toEqual([]);
    expect(await ended).toBe(0);
    for (const client of clients) expect((await client.closed).code).toBe(CLOSE_CODES.going_away);
    // Twenty random moments are within half of the time once in a hundred thousand tries.
    expect(Math.max(...ends) - Math.min(...ends)).toBeGreaterThan(2000);
  });

  test('tokens that end meanwhile: expired ones close with 4004 in time, revoked ones with 4501', async () => {
    const drainMs = 10_000;
    const { gateway, gateways, open } = await start({
      TIDEMARK_GATEWAY_DRAIN_MS: String(drainMs),
      TIDEMARK_GATEWAY_TOKEN_GRACE_MS: '500',
    });
    const openTwelve = async (token: string) => {
      const clients = Array.from({ length: 12 }, () => open({ token }));
      for (const client of clients) await client.first('welcome');
      return clients;
    };
    const brief = await openTwelve(await makeToken('subscribe:>', 'brief', 3));
    const banned = await openTwelve(await makeToken('subscribe:>', 'banned'));
    const startMs = performance.now();
    const ended = gateway.kill('SIGTERM');
    const admin = { authorization: `Bearer ${await makeToken('admin', 'operator')}` };
    const body = JSON.stringify({ sub: 'banned' });
    const url = `${gateways[1]?.url}/v1/admin/revocations`;
    expect((await fetch(url, { method: 'POST', headers: admin, body })).status).toBe(204);

    const codesOf = (clients: readonly WebSocketClient[]) =>
      Promise.all(clients.map(async ({ closed }) => (await closed).code));
    // That none of twelve random moments is in the later two thirds happens once in half a million tries.
    expect(new Set(await codesOf(banned))).toContain(CLOSE_CODES.revoked);
    expect(new Set(await codesOf(brief))).toContain(CLOSE_CODES.token_expired);
    expect(performance.now() - startMs).toBeLessThan(drainMs * 0.7);
    expect(await ended).toBe(0);
  });

  test('publishes under way: every one that was stored is answered before the close', async () => {
    const { gateway, open, nats } = await start({
      TIDEMARK_GATEWAY_DRAIN_MS: '500',
      TIDEMARK_GATEWAY_MESSAGES_PER_SECOND_MAX: '100000',
      TIDEMARK_GATEWAY_PUBLISHES_PER_SECOND_MAX: '100000',
    });
    const clients = Array.from({ length: 8 }, () => open());
    for (const client of clients) await client.first('welcome');
    let done = false;
    const sending = clients.map(async (client, index) => {
      for (let n = 1; !done; n++) {
        client.send({ type: 'publish', id: String(n), event: numbered(`${TOPIC}.${index}`, n) });
        const answered = () => client.all('published').length + client.all('error').length;
        await until(() => done || n - answered() < PUBLISHES_UNDER_WAY);
      }
    });
    await until(() => clients.every((client) => client.all('published').length > 20));
    expect(await gateway.kill('SIGTERM')).toBe(0);
    done = true;
    await Promise.all(sending);

    const answered = clients.flatMap((client, index) =>
      client.all('published').map(({ id }) => `${TOPIC}.${index} ${id}`),
    );
    const stored = (await streamEvents(nats.url)).map(nameOf);
    expect(answered.sort()).toEqual(stored.sort());
    for (const client of clients) expect((await client.closed).code).toBe(4000);
  });
});

describe('frozen (SIGSTOP)', () => {
  test('thawed far behind the stream: `latest` begins after what was stored before it was asked for', async () => {
    const { gateway, nats, open, publisher } = await start();
    const asking = open();
    await asking.first('welcome');
    await freeze(gateway.pid);
    try {
      await appendDirectly(nats.url, series(TOPIC, 1, BACKLOG));
      asking.send({ type: 'subscribe', id: 'now', topics: [TOPIC], after: 'latest' });
      asking.send({ type: 'publish', id: 'own', event: numbered(TOPIC, BACKLOG + 1) });
    } finally {
      process.kill(gateway.pid, 'SIGCONT');
    }
    await asking.first('published', 'own');
    const { cursor } = await publisher.store(numbered(TOPIC, BACKLOG + 2));
    await until(() => asking.all('event').some((event) => event.cursor === cursor));
    const received = asking.all('event').map(({ event }) => event.id);
    expect(received.map(Number).sort()).toEqual([BACKLOG + 1, BACKLOG + 2]);
  });

  test('while retention passes it: thawed, its live clients receive all from the archive', async () => {
    const frozen = await start({
      TIDEMARK_STREAM_MAX_BYTES: '4000000',
      TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '100',
    });
    const { gateway, listen, nats } = frozen;
    const urls = [gateway.url];
    const listeners = TRANSPORTS.map((transport) => listen(transport, { topics: TOPIC, urls }));
    for (const listener of listeners) await until(() => listener.live);
    await storeArchived(frozen, series(TOPIC, 1, 100));
    for (const listener of listeners) await untilEvents(listener, 100);
    await freeze(gateway.pid);
    try {
      const flood = series(TOPIC, 101, FLOOD).map((event) => ({ ...event, data: LARGE_TEXT }));
      await storeArchived(frozen, flood);
      expect((await streamState(nats.url)).first).toBeGreaterThan(FLOOD / 2);
    } finally {
      process.kill(gateway.pid, 'SIGCONT');
    }
    for (const listener of listeners) {
      await untilEvents(listener, FLOOD);
      expect(listener.ids).toEqual(ids(1, FLOOD));
      expect(listener.gaps).toEqual([]);
      expect(listener.connections).toBe(1);
    }
  });
});
