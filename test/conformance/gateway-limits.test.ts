import { afterAll, beforeAll, expect, test } from 'vitest';
import { freeze } from '../support/freeze.ts';
import { limitHeld, limitHits, makeToken } from '../support/services.ts';
import {
  metric,
  numbered,
  type System,
  series,
  startSystem,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/* PROTOCOL.md section 8.2: each limit, and what happens at it. */

const CONNECTIONS_MAX = 5;
const SUBSCRIPTIONS_MAX = 3;
const TAIL_EVENTS_MAX = 20;
const TAIL_BYTES_MAX = 64 * 1024;

let system: System;
beforeAll(async () => {
  system = await startSystem({
    env: {
      TIDEMARK_GATEWAY_CONNECTIONS_MAX: String(CONNECTIONS_MAX),
      TIDEMARK_GATEWAY_SUBSCRIPTIONS_MAX: String(SUBSCRIPTIONS_MAX),
      TIDEMARK_GATEWAY_PUBLISHES_MAX: '2',
      TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: String(TAIL_EVENTS_MAX),
      TIDEMARK_GATEWAY_TAIL_BYTES_MAX: String(TAIL_BYTES_MAX),
      TIDEMARK_GATEWAY_MESSAGE_BYTES_MAX: '100000',
    },
  });
});
afterAll(() => system.stop());

test('limits: welcome tells them', async () => {
  const client = system.open();
  expect(await client.first('welcome')).toMatchObject({
    heartbeatMs: 15_000,
    limits: {
      subscriptionsMax: SUBSCRIPTIONS_MAX,
      publishesMax: 2,
      messageBytesMax: 100_000,
      patternsMax: 100,
    },
  });
  await client.close();
});

test('subscriptions of a connection: one too many is refused, one that ended makes room', async () => {
  const client = system.open();
  for (const id of ['1', '2', '3', '4']) {
    client.send({ type: 'subscribe', id, topics: ['limits'] });
  }
  for (const id of ['1', '2', '3']) await client.first('live', id);
  expect(await client.first('error', '4')).toMatchObject({
    code: 'limit_exceeded',
    retryable: true,
  });
  client.send({ type: 'unsubscribe', id: '2' });
  await client.first('unsubscribed', '2');
  client.send({ type: 'subscribe', id: '5', topics: ['limits'] });
  await client.first('live', '5');
  await client.close();
});

test('patterns of a subscription: a hundred work', async () => {
  const client = system.open();
  const topics = Array.from({ length: 100 }, (_, index) => `limits.t${index}.*`);
  client.send({ type: 'subscribe', id: 's', topics });
  await client.first('live');
  await system.publisher.storeAll([numbered('limits.t0.a', 1), numbered('limits.t99.b', 2)]);
  await until(() => client.all('event').length === 2);
  await client.close();
});

test('publishes under way: those too many are refused and not stored', async () => {
  const client = system.open();
  await client.first('welcome');
  const before = await streamState(system.nats.url);
  for (const event of series('limits.publish', 1, 50)) {
    client.send({ type: 'publish', id: event.id, event });
  }
  await until(() => client.all('published').length + client.all('error').length === 50);
  expect(client.all('published').length).toBeGreaterThanOrEqual(2);
  expect(client.all('error').length).toBeGreaterThan(0);
  for (const error of client.all('error')) {
    expect(error).toMatchObject({ code: 'limit_exceeded', retryable: true });
  }
  const after = await streamState(system.nats.url);
  expect(after.last - before.last).toBe(client.all('published').length);
  await client.close();
});

test('publishes that wait for the stream: a user with several connections leaves room for others', async () => {
  const open = async (user: string) => {
    return new WebSocketClient(system.gateway.url, { token: await makeToken('publish:>', user) });
  };
  const busy = [await open('busy'), await open('busy')];
  const other = await open('other');
  for (const client of [...busy, other]) await client.first('welcome');
  await freeze(system.nats.pid);
  try {
    for (const [n, id] of ['1', '2', '3', '4'].entries()) {
      busy[n % 2]?.send({ type: 'publish', id, event: numbered('limits.wait', n) });
    }
    const refusals = () => busy.flatMap((client) => client.all('error'));
    await until(() => refusals().length === 2);
    expect(refusals()[0]).toMatchObject({ code: 'limit_exceeded', retryable: true });
    expect(await limitHits(system.gateway, 'appends')).toBe(2);
    other.send({ type: 'publish', id: 'o', event: numbered('limits.wait', 9) });
    await until(async () => (await limitHeld(system.gateway, 'appends')) === 3);
  } finally {
    process.kill(system.nats.pid, 'SIGCONT');
  }
  await other.first('published', 'o');
  await until(async () => (await limitHeld(system.gateway, 'appends')) === 0);
  for (const client of [...busy, other]) await client.close();
});

test('connections: one too many is refused over both transports and told to come back', async () => {
  const clients = Array.from({ length: CONNECTIONS_MAX }, () => system.open());
  for (const client of clients) await client.first('welcome');
  const headers = { authorization: `Bearer ${system.token}` };

  const refused = new WebSocketClient(system.gateway.url, { token: system.token });
  const status = await new Promise((resolve) => {
    refused.socket.once('unexpected-response', (_request, response) => {
      resolve([response.statusCode, response.headers['retry-after']]);
      refused.socket.terminate();
    });
  });
  expect(status).toEqual([429, '1']);
  const sse = await fetch(`${system.gateway.url}/v1/sse?topics=a`, { headers });
  expect(sse.status).toBe(200);
  expect(await sse.text()).toMatch(
    /^retry: \d+\nevent: error\ndata: \{"code":"limit_exceeded".*"retryable":true.*\}\n\n$/,
  );

  await clients.pop()?.close();
  await until(async () => {
    return (await metric(system.gateway, 'gateway_connections')) === CONNECTIONS_MAX - 1;
  });
  const next = system.open();
  await next.first('welcome');
  for (const client of [...clients, next]) await client.close();
});

test('tail: it holds no more events and no more bytes than it may', async () => {
  await system.publisher.storeAll(series('limits.tail', 1, 100));
  const head = (await streamState(system.nats.url)).last;
  await until(async () => (await metric(system.gateway, 'gateway_head_sequence')) === head);
  expect(await metric(system.gateway, 'gateway_tail_events')).toBe(TAIL_EVENTS_MAX);
  const large = series('limits.large', 1, 20).map((one) => ({ ...one, data: 'x'.repeat(10_000) }));
  await system.publisher.storeAll(large);
  await until(async () => (await metric(system.gateway, 'gateway_head_sequence')) === head + 20);
  expect(await metric(system.gateway, 'gateway_tail_bytes')).toBeLessThanOrEqual(TAIL_BYTES_MAX);
  expect(await metric(system.gateway, 'gateway_tail_events')).toBeLessThan(TAIL_EVENTS_MAX);
});
