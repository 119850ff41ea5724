import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loopBlockMaxMs, readMetrics } from '../bench/system/gateway-metrics.ts';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { makeToken, type Service, startService } from '../support/services.ts';
import { appendDirectly } from '../support/system.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';
import { type Page, range, startReplay, untilProjected } from './replay-setup.ts';

/* What the catch-ups of one user cost the others at replay, which reads for them (PROTOCOL.md section 8.2). */

const TOPICS = 60_000;
const APPENDED_AT_ONCE = 20_000;
const CATCH_UPS = 100;
const TIMES = 15;
/** What a read of another user takes of the time that one of the attacker takes. Without turns it takes as long. */
const PART_MAX = 0.6;
/** A catch-up of another user. Without turns it took 330 ms on a core of its own, and now 36 ms. */
const SOON_MS = 200;
/** Without turns replay answered what came at once before it looked at its sockets again, for 230 to 320 ms. */
const LOOP_MS = 150;

let nats: NatsServer;
let replay: Service;
let gateway: Service;

beforeAll(async () => {
  nats = await startNatsServer();
  replay = await startReplay(nats.url);
  gateway = await startService('gateway', {
    natsUrl: nats.url,
    env: { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '1000' },
  });
  for (let first = 1; first < TOPICS; first += APPENDED_AT_ONCE) {
    const numbers = range(first, first + APPENDED_AT_ONCE - 1);
    const topic = (number: number) => `${number % 2 === 0 ? 'm' : 'v'}.a.b.${number}`;
    await appendDirectly(
      nats.url,
      numbers.map((n) => ({ id: `${n}`, source: '/t', type: 't', topic: topic(n), data: n })),
    );
  }
  await untilProjected(replay, TOPICS);
}, 120_000);

afterAll(async () => {
  await gateway?.stop();
  await replay?.stop();
  await nats?.stop();
});

async function connect(user: string, scope: string): Promise<WebSocketClient> {
  const client = new WebSocketClient(gateway.url, { token: await makeToken(scope, user) });
  await once(client.socket, 'open');
  return client;
}

/** A hundred patterns among the attacker's topics that no topic matches, other ones each time. */
function idlePatterns(salt: number): string[] {
  return range(1, 100).map((index) => `m.*.*.x${salt}-${index}`);
}

/** Subscribes again and again, on ten connections, so that all of it is under way at each moment. */
async function attack(): Promise<() => Promise<void>> {
  let salt = 0;
  const clients = await Promise.all(
    range(1, CATCH_UPS / 10).map(() => connect('attacker', 'subscribe:m.>')),
  );
  const begin = (client: WebSocketClient, id: string) =>
    client.send({ type: 'subscribe', id, topics: idlePatterns(salt++), after: 'earliest' });
  for (const client of clients) {
    client.socket.on('message', (bytes) => {
      const { type, id } = JSON.parse(String(bytes));
      if (type === 'live') client.send({ type: 'unsubscribe', id });
      if (type === 'unsubscribed') begin(client, id);
    });
    for (const n of range(1, 10)) begin(client, `s${n}`);
  }
  return async () => {
    await Promise.all(clients.map((client) => client.close()));
  };
}

/** The time in the middle, in ms. */
async function medianMs(act: (n: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (const n of range(1, TIMES)) {
    const startMs = performance.now();
    await act(n);
    times.push(performance.now() - startMs);
    await sleep(20);
  }
  return times.sort((one, other) => one - other)[Math.floor(TIMES / 2)] ?? Number.NaN;
}

/** A client of a user that catches up on a topic with one event, or asks replay for it, again and again. */
async function openReader(user: string, prefix: string) {
  const client = await connect(user, `subscribe:${prefix}.>`);
  const headers = { authorization: `Bearer ${await makeToken(`history:${prefix}.>`, user)}` };
  const topic = (n: number) => `${prefix}.a.b.${2 * n + (prefix === 'v' ? 1 : 0)}`;
  return {
    client,
    catchUp: async (n: number) => {
      client.send({ type: 'subscribe', id: `r${n}`, topics: [topic(n)], after: 'earliest' });
      await client.first('live', `r${n}`);
      client.send({ type: 'unsubscribe', id: `r${n}` });
    },
    history: async (n: number) => {
      const answer = await fetch(`${replay.url}/v1/events?topics=${topic(n)}`, { headers });
      const page = (await answer.json()) as Page;
      expect(page.items).toHaveLength(1);
    },
  };
}

test('catch-ups of a user with patterns that match nothing among many topics: others are served at once', async () => {
  const victim = await openReader('victim', 'v');
  const attacker = await openReader('attacker', 'm');
  await medianMs((n) => victim.catchUp(1000 + n));
  const stop = await attack();
  await sleep(500);
  await readMetrics(replay.url);
  const others = await medianMs(victim.history);
  const othersCatchUp = await medianMs(victim.catchUp);
  const loopMs = loopBlockMaxMs(await readMetrics(replay.url));
  const own = await medianMs(attacker.history);
  await stop();
  for (const { client } of [victim, attacker]) await client.close();
  // The attacker waits for its own reads. Whatever else the machine does makes both slower.
  expect(others / own).toBeLessThan(PART_MAX);
  expect(othersCatchUp).toBeLessThan(SOON_MS);
  expect(loopMs).toBeLessThan(LOOP_MS);
});
