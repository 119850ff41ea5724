import {
  type CloudEvent,
  connect,
  memoryStore,
  type Status,
  type Tidemark,
  TidemarkClientError,
} from '@tidemark/client';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { revokeUser } from '../support/access.ts';
import { makeToken } from '../support/services.ts';
import { ids, type System, series, startSystem, untilHead } from '../support/system.ts';
import { until } from '../support/until.ts';

/* The client library against real services. Each test reads topics of its own, and asserts on every event. */

let system: System;
let token: string;
const clients: Tidemark[] = [];

beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_GATEWAY_HEARTBEAT_MS: '300' } });
  token = await makeToken('subscribe:> publish:> history:>', 'alice');
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(() => system.stop());

function open(options: Partial<Parameters<typeof connect>[0]> = {}): Tidemark {
  const client = connect({
    url: system.gateway.url,
    ingestUrl: system.ingest.url,
    token,
    ...options,
  });
  clients.push(client);
  return client;
}

/** Collects the ids of what a subscription gives, for as long as it lasts. */
function collect(events: AsyncIterable<CloudEvent>, pause?: () => Promise<void>): string[] {
  const got: string[] = [];
  void (async () => {
    for await (const { id } of events) {
      got.push(id);
      await pause?.();
    }
  })().catch((error: unknown) => got.push(String(error)));
  return got;
}

const store = (topic: string, first: number, last: number) =>
  system.publisher.storeAll(series(topic, first, last));

test('client: subscription from the start, and live: gives every event once, in order', async () => {
  await store('first', 1, 50);
  const client = open();
  const subscription = client.subscribe('first', { after: 'earliest' });
  const got = collect(subscription);
  await subscription.live;
  expect(client.status).toEqual({ state: 'live' });
  await store('first', 51, 60);
  await until(() => got.length >= 60);
  expect(got).toEqual(ids(1, 60));
});

test('client: gateway that is killed and comes back: gives what was missed, once', async () => {
  const states: Status['state'][] = [];
  const client = open();
  client.on('status', ({ state }) => states.push(state));
  const subscription = client.subscribe('killed');
  const got = collect(subscription);
  await subscription.ready;
  await store('killed', 1, 5);
  await until(() => got.length === 5);
  await system.gateway.kill('SIGKILL');
  await store('killed', 6, 20);
  await until(() => client.status.state === 'offline');
  await system.gateway.restart();
  await store('killed', 21, 25);
  await until(() => got.length >= 25);
  await until(() => client.status.state === 'live');
  expect(got).toEqual(ids(1, 25));
  expect(states).toContain('offline');
});

test('client: several subscriptions that overlap: each gets its events once, in order', async () => {
  await store('many.a', 1, 30);
  await store('many.b', 31, 60);
  const client = open();
  const all = collect(client.subscribe('many.>', { after: 'earliest' }));
  const one = collect(client.subscribe(['many.b'], { after: 'earliest' }));
  await until(() => all.length >= 60 && one.length >= 30);
  const late = collect(client.subscribe('many.*', { after: 'earliest' }));
  await until(() => late.length >= 60);
  await store('many.b', 61, 70);
  await until(() => late.length >= 70 && all.length >= 70 && one.length >= 40);
  expect([all, one, late]).toEqual([ids(1, 70), ids(31, 70), ids(1, 70)]);
});

test('client: consumer that is slow: waits in bounded memory and loses nothing', async () => {
  await store('slow', 1, 5000);
  const client = open();
  const subscription = client.subscribe('slow', { after: 'earliest' });
  const fast = collect(client.subscribe('slow', { after: 'earliest' }));
  let n = 0;
  const got = collect(subscription, async () => {
    // The first one holds everything up for a while.
    if (n++ % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 300));
  });
  await until(() => got.length >= 5000 && fast.length >= 5000);
  await store('slow', 5001, 5010);
  await until(() => got.length >= 5010 && fast.length >= 5010);
  expect(got).toEqual(ids(1, 5010));
  expect(fast).toEqual(ids(1, 5010));
});

test('client: cursor in a store: the next client goes on where the consumer had finished', async () => {
  await store('kept', 1, 10);
  const cursors = memoryStore();
  const first = open({ store: cursors });
  const got: string[] = [];
  for await (const { id } of first.subscribe('kept', { after: 'earliest', name: 'kept' })) {
    got.push(id);
    // It leaves with the fifth in hand.
    if (got.length === 5) break;
  }
  first.close();
  await store('kept', 11, 15);
  const again = collect(open({ store: cursors }).subscribe('kept', { name: 'kept' }));
  await until(() => again.length >= 11);
  expect(again).toEqual(ids(5, 15));
});

test('client: token that expires: is renewed in time, on the same connection', async () => {
  let asked = 0;
  const client = open({
    token: () => {
      asked++;
      return makeToken('subscribe:>', 'alice', 2);
    },
  });
  const states: Status['state'][] = [];
  const subscription = client.subscribe('renewed');
  const got = collect(subscription);
  await subscription.live;
  client.on('status', ({ state }) => states.push(state));
  await until(() => asked >= 3, undefined);
  await store('renewed', 1, 3);
  await until(() => got.length === 3);
  expect(states).toEqual([]);
});

test('client: token that is never valid: stops with a reason, and says so to the loop', async () => {
  const client = open({ token: 'nonsense' });
  const subscription = client.subscribe('refused');
  await expect(subscription.ready).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(client.status).toMatchObject({ state: 'stopped', code: 'unauthenticated' });
});

test('client: pattern without permission: ends that subscription alone', async () => {
  const client = open({ token: await makeToken('subscribe:mine') });
  const got = collect(client.subscribe('mine'));
  const refused = client.subscribe('theirs');
  await expect(refused.each(() => undefined)).rejects.toThrow(TidemarkClientError);
  await store('mine', 1, 2);
  await until(() => got.length === 2);
  expect(got).toEqual(ids(1, 2));
});

/** As behind a proxy that breaks WebSocket. */
async function withoutWebSocket(run: () => Promise<void>): Promise<void> {
  const { WebSocket } = globalThis;
  class Broken extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url.replace('/v1/ws', '/v1/nothing'), protocols);
    }
  }
  globalThis.WebSocket = Broken as typeof WebSocket;
  try {
    await run();
  } finally {
    globalThis.WebSocket = WebSocket;
  }
}

test('client: no WebSocket on the way: learns it, and gives everything over SSE', () =>
  withoutWebSocket(async () => {
    await store('sse', 1, 3000);
    const client = open();
    const got = collect(client.subscribe('sse', { after: 'earliest' }));
    const last = client.snapshot('sse');
    await until(() => got.length >= 3000);
    await last.ready;
    await store('sse', 3001, 3005);
    await until(() => got.length >= 3005 && last.topics.get('sse')?.id === '3005');
    expect(got).toEqual(ids(1, 3005));
  }));

test('client: gateway that is killed, over SSE: gives what was missed, once', () =>
  withoutWebSocket(async () => {
    const client = open();
    const subscription = client.subscribe('sse-killed');
    const got = collect(subscription);
    await subscription.ready;
    await store('sse-killed', 1, 5);
    await until(() => got.length === 5);
    await system.gateway.kill('SIGKILL');
    await store('sse-killed', 6, 20);
    await system.gateway.restart();
    await store('sse-killed', 21, 25);
    await until(() => got.length >= 25);
    expect(got).toEqual(ids(1, 25));
  }));

test('client: gateway that restarts while SSE is used: is come back to', async () => {
  const client = open();
  let got: string[] = [];
  await withoutWebSocket(async () => {
    const subscription = client.subscribe('again');
    got = collect(subscription);
    await subscription.live;
  });
  await system.gateway.restart();
  await store('again', 1, 5);
  await until(() => got.length >= 5);
  expect(got).toEqual(ids(1, 5));
});

test.each([
  ['WebSocket', (run: () => Promise<void>) => run()],
  ['SSE', withoutWebSocket],
])(
  'client: token that is revoked, over %s: stops, and the loop ends with the reason',
  (transport, within) =>
    within(async () => {
      const user = `revoked-${transport}`;
      const client = open({ token: await makeToken('subscribe:>', user) });
      const subscription = client.subscribe('revoked');
      const ended = subscription.each(() => undefined);
      await subscription.ready;
      await Promise.all([
        expect(ended).rejects.toMatchObject({
          code: expect.stringMatching(/revoked|unauthenticated/),
        }),
        revokeUser(system, user),
      ]);
    }),
);

test('client: publish: is acknowledged, in order, and conditions hold', async () => {
  const client = open();
  const subscription = client.subscribe('out');
  const got = collect(subscription);
  await subscription.ready;
  const stored = await Promise.all(
    ids(1, 20).map((id) => client.publish({ type: 'said', topic: 'out', id, data: id })),
  );
  await until(() => got.length >= 20);
  expect(got).toEqual(ids(1, 20));
  const cursor = stored.at(-1)?.cursor ?? '';
  await expect(
    client.publish({ type: 'said', topic: 'out' }, { ifMatch: stored[0]?.cursor ?? '' }),
  ).rejects.toMatchObject({ code: 'precondition_failed', cursor });
  await expect(
    client.publish({ type: 'said', topic: 'out' }, { ifMatch: cursor }),
  ).resolves.toMatchObject({ duplicate: false });
});

test('client: publish while ingest is away: waits, says when too much waits, stores each once', async () => {
  const client = open();
  await system.ingest.kill('SIGKILL');
  const waiting = ids(1, 1000).map((id) => client.publish({ type: 'said', topic: 'queue', id }));
  await expect(client.publish({ type: 'said', topic: 'queue' })).rejects.toMatchObject({
    code: 'queue_full',
  });
  await system.ingest.restart();
  expect((await Promise.all(waiting)).map(({ id }) => id)).toEqual(ids(1, 1000));
  const got = collect(client.subscribe('queue', { after: 'earliest' }));
  await until(() => got.length >= 1000);
  expect(got).toEqual(ids(1, 1000));
});

test('client: snapshot: has the newest of each topic, and each change', async () => {
  const client = open();
  await client.publish({ type: 'set', topic: 'state.a', data: 1 });
  await client.publish({ type: 'set', topic: 'state.b', data: 1 });
  await untilHead(system);
  const snapshot = client.snapshot('state.*');
  await snapshot.ready;
  const values = () => [...snapshot.topics].map(([topic, { data }]) => [topic, data]);
  expect(values()).toEqual([
    ['state.a', 1],
    ['state.b', 1],
  ]);
  await client.publish({ type: 'set', topic: 'state.a', data: 2 });
  await client.publish({ type: 'gone', topic: 'state.b' });
  await until(() => snapshot.topics.size === 1 && snapshot.topics.get('state.a')?.data === 2);
});

test('client: snapshot of a user who is revoked: says that it has ended', async () => {
  const one = open().snapshot('state.ended');
  await one.ready;
  one.close();
  await one.ended;
  const other = open({ token: await makeToken('subscribe:>', 'snapper') }).snapshot('state.ended');
  await other.ready;
  await Promise.all([
    expect(other.ended).rejects.toMatchObject({
      code: expect.stringMatching(/revoked|unauthenticated/),
    }),
    revokeUser(system, 'snapper'),
  ]);
});

test('client: join: has the state of another service, and each change once it began', async () => {
  const client = open();
  let server = 0;
  const add = async () => {
    server++;
    await client.publish({ type: 'added', topic: 'sum', data: server });
  };
  await add();
  const joined = client.join({
    topics: 'sum',
    fetchState: async () => {
      // Changes between the position and the state are in both.
      await add();
      return server;
    },
    apply: (state, { data }) => Math.max(state, data as number),
  });
  await joined.ready;
  expect(joined.state).toBe(2);
  await add();
  await until(() => joined.state === 3);
});
