import { afterAll, beforeAll, expect, test } from 'vitest';
import { untilEvents } from '../support/clients.ts';
import type { LogLine } from '../support/services.ts';
import { numbered, type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* What operators read: one line for each thing that happens to a connection, with its trace. */

const TOPIC = 'logged';
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

let system: System;
beforeAll(async () => {
  // Nobody is there to take the spans; what lines say of them is all that counts here.
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
    TIDEMARK_GATEWAY_SUBSCRIPTIONS_MAX: '1',
  };
  system = await startSystem({ env });
});
afterAll(() => system?.stop());

async function line(what: Readonly<Record<string, unknown>>): Promise<LogLine> {
  const isIt = (one: LogLine) => Object.entries(what).every(([name, value]) => one[name] === value);
  await until(
    () => system.gateway.logs.some(isIt),
    () => `the line ${JSON.stringify(what)}`,
  );
  const found = system.gateway.logs.filter(isIt);
  expect(found, JSON.stringify(what)).toHaveLength(1);
  return found[0] ?? {};
}

test('a connection: each line has its id, its trace, and what happened; no line a payload', async () => {
  await system.publisher.store(numbered(TOPIC, 1));
  const client = system.open({ headers: { traceparent: TRACEPARENT } });
  const { connection } = await client.first('welcome');
  client.send({ type: 'subscribe', id: 'a', topics: [TOPIC], after: '0123456789ab-1' });
  await client.first('live', 'a');
  client.send({ type: 'subscribe', id: 'b', topics: ['other'] });
  await client.first('error', 'b');
  client.send({ type: 'unsubscribe', id: 'a' });
  await client.first('unsubscribed', 'a');
  await client.close();

  const trace = { trace_id: TRACE_ID, trace_flags: '01' };
  const about = { connection, transport: 'websocket', subject: 'tester', ...trace };
  await line({ ...about, msg: 'connected' });
  const { cursor } = await line({ ...about, msg: 'subscribed', subscription: 'a' });
  expect(cursor).toMatch(/-0$/);
  expect(await line({ ...about, msg: 'gap', subscription: 'a' })).toMatchObject({
    from: '0123456789ab-1',
    to: cursor,
    reason: 'epoch',
  });
  const limit = await line({ ...about, msg: 'limit reached' });
  expect(limit.reason).toMatch(/subscriptions/);
  await line({ ...about, msg: 'unsubscribed', subscription: 'a' });
  const end = await line({ ...about, msg: 'disconnected', reason: 'client' });
  expect(end).toMatchObject({ events: 1, subscriptions: 1, gaps: 1 });
  expect(Number(end.bytes)).toBeGreaterThan(300);
  expect(Number(end.ms)).toBeGreaterThanOrEqual(0);
  expect(JSON.stringify(system.gateway.logs)).not.toContain('lorem ipsum');
});

test('live and missed events: the last line counts them all, over both transports', async () => {
  const topic = `${TOPIC}.counted`;
  await system.publisher.storeAll([1, 2, 3].map((n) => numbered(topic, n)));
  const listeners = (['websocket', 'sse'] as const).map((transport) =>
    system.listen(transport, { topics: topic, after: 'earliest' }),
  );
  for (const listener of listeners) await until(() => listener.live);
  await system.publisher.storeAll([4, 5].map((n) => numbered(topic, n)));
  for (const listener of listeners) {
    await untilEvents(listener, 5);
    await listener.stop();
    await line({ msg: 'disconnected', transport: listener.transport, events: 5 });
  }
});

test('refused: a handshake without a token, over each transport: one line with the reason', async () => {
  const { url } = system.gateway;
  const headers = { traceparent: TRACEPARENT.replace(TRACE_ID, 'f'.repeat(32)) };
  expect((await fetch(`${url}/v1/sse?topics=${TOPIC}`, { headers })).status).toBe(401);
  const client = system.open({ token: 'no.token.at-all', headers });
  await client.closed;
  const about = { msg: 'refused', trace_id: 'f'.repeat(32), code: 'unauthenticated' };
  const overSse = await line({ ...about, path: '/v1/sse' });
  const overWebSocket = await line({ ...about, transport: 'websocket' });
  for (const { reason } of [overSse, overWebSocket]) expect(String(reason)).not.toBe('');
});

test('level: SIGUSR2 at a running gateway: debug lines, and none after the next', async () => {
  const debugLines = () => system.gateway.logs.filter(({ level }) => level === 20).length;
  const ask = () => fetch(`${system.gateway.url}/healthz`);
  await ask();
  expect(debugLines()).toBe(0);
  process.kill(system.gateway.pid, 'SIGUSR2');
  await line({ msg: 'log level changed', logLevel: 'debug', level: 30 });
  await ask();
  await until(() => debugLines() > 0, 'a debug line');
  process.kill(system.gateway.pid, 'SIGUSR2');
  await until(
    () => system.gateway.logs.filter(({ msg }) => msg === 'log level changed').length > 1,
  );
  const before = debugLines();
  await ask();
  expect(debugLines()).toBe(before);
});
