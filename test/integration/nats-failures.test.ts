import { matches } from '@tidemark/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { TRANSPORTS, untilEvents } from '../support/clients.ts';
import { startNatsServer } from '../support/nats-server.ts';
import { type Service, type ServiceName, startService } from '../support/services.ts';
import {
  assemble,
  ids,
  nameOf,
  namesOf,
  numbered,
  publishUntil,
  type System,
  series,
  startSystem,
  streamEvents,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/* NATS is away, late or killed: nothing acknowledged is lost, and nothing false is told. */

const TOPIC = 'failures';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: Parameters<typeof startSystem>[0] = {}): Promise<System> {
  const system = await startSystem(options);
  cleanups.push(system.stop);
  return system;
}

describe('start order', () => {
  test.each<ServiceName[][]>([
    [['gateway', 'ingest', 'replay']],
    [['replay', 'gateway', 'ingest']],
    [['ingest', 'replay', 'gateway']],
  ])('%j, NATS last: clients that came before it are served', async (names) => {
    const placeholder = await startNatsServer();
    const { port, url: natsUrl } = placeholder;
    await placeholder.stop();
    const services = new Map<ServiceName, Service>();
    for (const name of names) {
      const env = { TIDEMARK_GATEWAY_SSE_RETRY_MS: '50', TIDEMARK_GATEWAY_DRAIN_MS: '200' };
      const service = await startService(name, { natsUrl, env, waitUntilReady: false });
      cleanups.push(service.stop);
      services.set(name, service);
      expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
      expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
    }
    const [gateway, ingest, replay] = (['gateway', 'ingest', 'replay'] as const).map((name) =>
      services.get(name),
    );
    if (!gateway || !ingest || !replay) throw new Error('A service is missing.');
    const client = { urls: [gateway.url], topics: TOPIC, after: 'earliest' };
    const parts = { ingest, replay, gateways: [gateway] };
    const early = await assemble({ ...parts, nats: placeholder }, () => Promise.reject());
    const listeners = TRANSPORTS.map((transport) => early.listen(transport, client));
    cleanups.push(() => Promise.all(listeners.map((listener) => listener.stop())));
    const storing = early.publisher.storeInOrder(series(TOPIC, 1, 3));
    await until(() => early.publisher.refusals.length > 1);
    expect(new Set(early.publisher.refusals)).toEqual(new Set([503]));

    const nats = await startNatsServer({ port });
    cleanups.push(nats.stop);
    await storing;
    for (const listener of listeners) {
      await untilEvents(listener, 3);
      expect(listener.ids).toEqual(ids(1, 3));
      expect(listener.gaps).toEqual([]);
    }
    for (const service of services.values()) await service.waitUntilReady();
  });
});

describe('NATS killed', () => {
  test('twice under load: connections stay, each client receives exactly the stream', async () => {
    const system = await start();
    const clients = TRANSPORTS.flatMap((transport) =>
      ['>', `${TOPIC}.*`, `${TOPIC}.b`].map((topics) => ({
        topics,
        listener: system.listen(transport, { topics, after: 'earliest' }),
      })),
    );
    for (const { listener } of clients) await until(() => listener.live);
    const received = () => clients[0]?.listener.ids.length ?? 0;
    let done = false;
    const publishing = ['a', 'b', 'c'].map((name) =>
      publishUntil(() => done, `${TOPIC}.${name}`, system.publisher),
    );
    for (let kill = 1; kill <= 2; kill++) {
      const before = received();
      await until(() => received() > before + 150);
      const refused = system.publisher.refusals.length;
      await system.nats.kill('SIGKILL');
      await until(() => system.publisher.refusals.length > refused + 3);
      await system.nats.restart();
    }
    const before = received();
    await until(() => received() > before + 150);
    done = true;
    const acknowledged = (await Promise.all(publishing)).flat();

    const stored = await streamEvents(system.nats.url);
    expect(stored.map(nameOf).sort()).toEqual(acknowledged.sort());
    for (const { topics, listener } of clients) {
      const expected = stored.filter(({ topic }) => matches(topics, topic)).map(nameOf);
      await untilEvents(listener, expected.length);
      expect(namesOf(listener)).toEqual(expected);
      expect(listener.connections).toBe(1);
      expect(listener.received.filter(({ type }) => type !== 'event')).toHaveLength(1);
    }
    expect(new Set(system.publisher.refusals)).toEqual(new Set([503]));
  });

  test('clients that come while it is away: what the tail has at once, the rest after', async () => {
    const system = await start({ env: { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '10' } });
    const stored = await system.publisher.storeAll(series(TOPIC, 1, 30));
    const witness = system.listen('websocket', { topics: TOPIC, after: 'earliest' });
    await untilEvents(witness, 30);
    await system.nats.kill('SIGKILL');
    await until(async () => (await fetch(`${system.gateway.url}/readyz`)).status === 503);

    const inTail = TRANSPORTS.map((transport) =>
      system.listen(transport, { topics: TOPIC, after: stored[24]?.cursor ?? '' }),
    );
    const older = TRANSPORTS.flatMap((transport) => [
      system.listen(transport, { topics: TOPIC, after: stored[4]?.cursor ?? '' }),
      system.listen(transport, { topics: TOPIC, after: 'earliest' }),
    ]);
    for (const listener of inTail) {
      await untilEvents(listener, 5);
      expect(listener.ids).toEqual(ids(26, 30));
    }
    expect(older.flatMap((listener) => listener.ids)).toEqual([]);
    const client = system.open();
    const publish = { type: 'publish', event: numbered('over.web-socket', 1) };
    client.send({ ...publish, id: 'away' });
    expect(await client.first('error', 'away')).toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
    await system.nats.restart();
    await system.gateway.waitUntilReady();
    client.send({ ...publish, id: 'back' });
    await client.first('published', 'back');
    await system.publisher.storeInOrder(series(TOPIC, 31, 35));
    for (const listener of [...inTail, ...older]) {
      await until(() => listener.ids.includes('35'));
      const first = 36 - listener.ids.length;
      expect(listener.ids).toEqual(ids(first, 35));
      expect(listener.gaps).toEqual([]);
    }
    expect(inTail.map((listener) => listener.ids.length)).toEqual([10, 10]);
    expect(older.map((listener) => listener.ids.length)).toEqual([30, 35, 30, 35]);
  });
});
