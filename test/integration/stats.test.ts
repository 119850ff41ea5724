import { bulletinSubject } from '@tidemark/nats';
import type { Stats } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freeze } from '../support/freeze.ts';
import { makeToken, type Service } from '../support/services.ts';
import { metric, numbered, type System, series, startSystem, withNats } from '../support/system.ts';
import { until } from '../support/until.ts';

/* PROTOCOL.md section 13.6: any gateway tells the figures of all services. */

let system: System;
let admin: string;

beforeAll(async () => {
  system = await startSystem({ gateways: 2 });
  admin = await makeToken('admin', 'operator');
});

afterAll(() => system.stop());

async function statsOf({ url }: Service): Promise<Stats> {
  const headers = { authorization: `Bearer ${admin}` };
  const response = await fetch(`${url}/v1/admin/stats`, { headers });
  expect(response.status).toBe(200);
  return (await response.json()) as Stats;
}

function servicesOf(stats: Stats, service: string) {
  return stats.services.filter((one) => one.service === service);
}

/** Waits until the figures of a gateway are as expected, and returns them. */
async function untilStats(
  gateway: Service,
  isExpected: (stats: Stats) => boolean,
  what: string,
): Promise<Stats> {
  let stats = await statsOf(gateway);
  await until(
    async () => {
      stats = await statsOf(gateway);
      return isExpected(stats);
    },
    () => `${what}; there is ${JSON.stringify(stats)}`,
    20_000,
  );
  return stats;
}

describe('stats', () => {
  test('two gateways, ingest, replay: each gateway knows all of them, with the same names', async () => {
    const [first, second] = system.gateways as [Service, Service];
    const kinds = (stats: Stats) => stats.services.map(({ service }) => service);
    const all = ['gateway', 'gateway', 'ingest', 'replay'];
    // The first figures of a process may be from before it was ready.
    const areReady = ({ services }: Stats) =>
      services.length === 4 && services.every(({ ready }) => ready);
    const stats = await untilStats(first, areReady, 'four services that are ready');
    expect(kinds(stats)).toEqual(all);
    expect(stats.services.every(({ seenMs }) => seenMs < 10_000)).toBe(true);
    const others = await untilStats(second, areReady, 'four services that are ready');
    const names = (some: Stats) => some.services.map(({ instance }) => instance);
    expect(names(others)).toEqual(names(stats));
    expect(new Set(names(stats)).size).toBe(4);
  });

  test('a known load: connections, events, deliveries and the archive are counted', async () => {
    const [first, second] = system.gateways as [Service, Service];
    const listeners = [
      system.listen('websocket', { topics: 'stats.load', urls: [first.url] }),
      system.listen('websocket', { topics: 'stats.load', urls: [second.url] }),
      system.listen('sse', { topics: 'stats.load', urls: [second.url] }),
    ];
    await untilStats(first, ({ together }) => together.connections === 3, 'three connections');
    await system.publisher.storeAll(series('stats.load', 1, 50));
    // The same events again, and one that is refused.
    await system.publisher.storeAll(series('stats.load', 1, 20));
    const refused = await fetch(`${system.ingest.url}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${system.token}`, 'content-type': 'application/json' },
      body: '{"type": 1}',
    });
    expect(refused.status).toBe(400);
    await until(() => listeners.every(({ events }) => events.length === 50), 'the events');
    // 50 events to 3 listeners within the last 10 s. Each process tells its figures at a time of its own.
    const stats = await untilStats(
      first,
      ({ together, services }) => {
        const { eventsOutPerSecond, slow, catchUps } = together;
        const delivered = eventsOutPerSecond >= 15 && slow === 0 && catchUps === 0;
        const replay = services.find((one) => one.service === 'replay');
        const ingest = services.find((one) => one.service === 'ingest');
        return (
          delivered &&
          replay?.service === 'replay' &&
          replay.events === 50 &&
          ingest?.service === 'ingest' &&
          ingest.refusedPerSecond > 0
        );
      },
      'the figures of all processes',
    );
    expect(stats.together).toMatchObject({ gateways: 2, connections: 3, slow: 0, catchUps: 0 });
    expect(stats.together.bytesOutPerSecond).toBeGreaterThan(150 * 100 * 0.1);
    expect(stats.together.deliveryMs?.p50).toBeGreaterThan(0);
    expect(stats.together.deliveryMs?.p99).toBeGreaterThanOrEqual(
      stats.together.deliveryMs?.p50 ?? 0,
    );
    const bySse = servicesOf(stats, 'gateway').map(
      (one) => 'connections' in one && one.connections,
    );
    expect(bySse).toContainEqual({ websocket: 1, sse: 0 });
    expect(bySse).toContainEqual({ websocket: 1, sse: 1 });
    const [ingest] = servicesOf(stats, 'ingest');
    expect(ingest).toMatchObject({ store: 'ok' });
    if (ingest?.service !== 'ingest') throw new Error('There is no ingest.');
    expect(ingest.eventsPerSecond).toBeGreaterThan(0);
    expect(ingest.duplicatesPerSecond).toBeGreaterThan(0);
    expect(ingest.refusedPerSecond).toBeGreaterThan(0);
    expect(ingest.appendMs?.p99).toBeGreaterThan(0);
    const [replay] = servicesOf(stats, 'replay');
    if (replay?.service !== 'replay') throw new Error('There is no replay.');
    expect(replay).toMatchObject({ behind: 0, events: 50, rebuild: null });
    expect(replay.position).toMatch(/-50$/);
    expect(replay.bytes).toBeGreaterThan(0);
    for (const listener of listeners) await listener.stop();
    await untilStats(first, ({ together }) => together.connections === 0, 'no connection');
  });

  test('over SSE: figures each second, until the token ends', async () => {
    const headers = {
      accept: 'text/event-stream',
      authorization: `Bearer ${await makeToken('admin', 'operator', 4)}`,
    };
    const response = await fetch(`${system.gateway.url}/v1/admin/stats`, { headers });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const text = await response.text();
    const blocks = text.trim().split('\n\n');
    const last = blocks.pop();
    expect(last).toMatch(/^event: error\ndata: \{"code":"token_expired"/);
    expect(blocks.length).toBeGreaterThanOrEqual(2);
    for (const block of blocks) {
      const [, data = ''] = /^event: stats\ndata: (.*)$/.exec(block) ?? [];
      expect((JSON.parse(data) as Stats).together.gateways).toBe(2);
    }
  });

  test('streams: their number has a limit, and each that ends makes room', async () => {
    const streams: AbortController[] = [];
    // The garbage collector ends the stream of an answer that nobody holds.
    const answers: Response[] = [];
    const open = async () => {
      const controller = new AbortController();
      const headers = { accept: 'text/event-stream', authorization: `Bearer ${admin}` };
      const { signal } = controller;
      const url = `${system.gateway.url}/v1/admin/stats`;
      const answer = await fetch(url, { headers, signal });
      answers.push(answer);
      if (answer.status === 200) streams.push(controller);
      return answer.status;
    };
    while ((await open()) === 200) expect(streams.length).toBeLessThanOrEqual(20);
    expect(streams).toHaveLength(20);
    expect(await open()).toBe(429);
    streams[0]?.abort();
    await until(async () => (await open()) === 200, 'room');
    for (const stream of streams) stream.abort();
  });

  test('a token without admin: 403; none: 401', async () => {
    const url = `${system.gateway.url}/v1/admin/stats`;
    const headers = { authorization: `Bearer ${system.token}` };
    expect((await fetch(url, { headers })).status).toBe(403);
    expect((await fetch(url)).status).toBe(401);
  });

  test('garbage and forged figures: are counted, and change nothing', async () => {
    const before = await statsOf(system.gateway);
    const ignored = await metric(system.gateway, 'gateway_bulletins_ignored_total');
    const [own] = servicesOf(before, 'gateway');
    await withNats(system.nats.url, async (operator) => {
      const send = (subject: string, text: string) => operator.publish(subject, text);
      send(bulletinSubject('gateway'), 'no JSON');
      send(bulletinSubject('gateway'), '{"service":"gateway"}');
      send(
        bulletinSubject('gateway'),
        JSON.stringify(own).replace(/"memoryBytes":\d+/, '"memoryBytes":1e999'),
      );
      send(
        bulletinSubject('ingest'),
        JSON.stringify({ ...own, deliveries: { bounds: [], counts: [] } }),
      );
      send(bulletinSubject('gateway'), JSON.stringify({ ...own, version: 'x'.repeat(20_000) }));
      await operator.flush();
    });
    await until(async () => {
      return (await metric(system.gateway, 'gateway_bulletins_ignored_total')) >= ignored + 5;
    }, 'they are counted');
    const after = await statsOf(system.gateway);
    expect(after.services.map(({ instance }) => instance)).toEqual(
      before.services.map(({ instance }) => instance),
    );
    expect(after.services.every(({ memoryBytes }) => memoryBytes < 4e9)).toBe(true);
    expect(await system.publisher.store(numbered('stats.after', 1))).toHaveProperty('cursor');
  });

  test('a service that hangs: is shown with its age, then no longer, and is back afterwards', async () => {
    await freeze(system.ingest.pid);
    const isShown = (stats: Stats) => servicesOf(stats, 'ingest').length === 1;
    try {
      const aging = (stats: Stats) => (servicesOf(stats, 'ingest')[0]?.seenMs ?? 0) > 2000;
      await untilStats(system.gateway, aging, 'an old figure');
      await untilStats(system.gateway, (stats) => !isShown(stats), 'it is forgotten');
    } finally {
      process.kill(system.ingest.pid, 'SIGCONT');
    }
    await untilStats(system.gateway, isShown, 'it is back');
  }, 60_000);

  test('a gateway that stops leaves at once; NATS away: the gateway tells of itself, not ready', async () => {
    const another = await system.startGateway();
    const gateways = (count: number) => (stats: Stats) => stats.together.gateways === count;
    await untilStats(system.gateway, gateways(3), 'three gateways');
    await another.kill('SIGTERM');
    const stoppedMs = performance.now();
    await untilStats(system.gateway, gateways(2), 'two gateways');
    // Sooner than one that says nothing is forgotten.
    expect(performance.now() - stoppedMs).toBeLessThan(8000);
    await system.nats.kill();
    const alone = await untilStats(system.gateway, gateways(1), 'itself');
    expect(servicesOf(alone, 'gateway')[0]?.ready).toBe(false);
    await system.nats.restart();
    await untilStats(system.gateway, ({ services }) => services.length === 4, 'all are back');
  }, 60_000);
});
