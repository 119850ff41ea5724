import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AdminStream, AdminTrace } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JAEGER_BINARY, type Jaeger, startJaeger } from '../support/jaeger.ts';
import { startNatsCluster } from '../support/nats-cluster.ts';
import { makeToken, type Service, startService } from '../support/services.ts';
import { numbered, type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* PROTOCOL.md sections 8.5, 13.7 and 13.8: what a token permits, the streams, and the traces. */

let admin: string;

beforeAll(async () => {
  admin = await makeToken('admin', 'operator');
});

async function get({ url }: Service, path: string, token = admin): Promise<Response> {
  return fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
}

interface StreamList {
  readonly items: readonly AdminStream[];
  readonly unanswered: readonly string[];
}

describe('without Jaeger', () => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem();
  });
  afterAll(() => system.stop());

  test('me: the user, what the token permits, and until when', async () => {
    const token = await makeToken('subscribe:a.> inbox:> admin nonsense', 'alice', 600);
    const me = await (await get(system.gateway, '/v1/me', token)).json();
    expect(me).toEqual({
      sub: 'alice',
      permissions: [
        'subscribe:a.>',
        'inbox:>',
        'subscribe:inbox.alice',
        'history:inbox.alice',
        'admin',
      ],
      expiresAt: expect.any(String),
    });
    const { expiresAt } = me as { expiresAt: string };
    const leftMs = Date.parse(expiresAt) - Date.now();
    expect(leftMs).toBeGreaterThan(500_000);
    expect(leftMs).toBeLessThanOrEqual(600_000);
    expect((await fetch(`${system.gateway.url}/v1/me`)).status).toBe(401);
    expect((await get(system.gateway, '/v1/me', 'x')).status).toBe(401);
  });

  test('streams: what they hold, how much they may, and where the first event is', async () => {
    const { cursor } = await system.publisher.store(numbered('streams.a', 1));
    await system.publisher.store(numbered('streams.a', 2));
    const { items, unanswered } = (await (
      await get(system.gateway, '/v1/admin/streams')
    ).json()) as StreamList;
    expect(unanswered).toEqual([]);
    expect(items.map(({ name }) => name)).toEqual([
      'TIDEMARK_EVENTS',
      'KV_TIDEMARK_REVOCATIONS',
      'KV_TIDEMARK_TICKETS',
      'KV_TIDEMARK_ARCHIVES',
    ]);
    const [events, , tickets] = items;
    expect(events).toMatchObject({
      ...{ subjects: ['tidemark.events.>'], messages: 2, firstCursor: cursor, storage: 'file' },
      limits: { messages: null },
    });
    expect(events?.bytes).toBeGreaterThan(600);
    expect(Date.parse(events?.lastTime ?? '')).toBeGreaterThanOrEqual(
      Date.parse(events?.firstTime ?? ''),
    );
    expect(tickets).toMatchObject({
      ...{ messages: 0, firstTime: null, lastTime: null, storage: 'memory' },
      limits: { ageSeconds: 30 },
    });
    expect(tickets).not.toHaveProperty('firstCursor');
  });

  test('streams, traces: only with admin; no Jaeger: 404', async () => {
    const { token, gateway } = system;
    const trace = `/v1/admin/traces/${'a'.repeat(32)}`;
    for (const path of ['/v1/admin/streams', trace]) {
      expect((await get(gateway, path, token)).status).toBe(403);
    }
    expect((await get(gateway, trace)).status).toBe(404);
    expect((await get(gateway, '/v1/admin/traces/abc')).status).toBe(400);
    expect((await get(gateway, '/v1/admin/streams?name=x')).status).toBe(400);
  });
});

test('streams of three servers: the leader, its copies, and one that has fallen behind', async () => {
  const cluster = await startNatsCluster();
  const natsUrl = cluster.servers.map(({ url }) => url).join(',');
  const env = { TIDEMARK_STREAM_REPLICAS: '3' };
  const services: Service[] = [];
  try {
    services.push(await startService('replay', { natsUrl, env }));
    const gateway = await startService('gateway', { natsUrl, env });
    services.push(gateway);
    const eventsOf = async () => {
      const response = await get(gateway, '/v1/admin/streams');
      // The gateway may have been connected to the server that is killed.
      if (response.status === 503) return undefined;
      const { items } = (await response.json()) as StreamList;
      return items.find(({ name }) => name === 'TIDEMARK_EVENTS');
    };
    let events = await eventsOf();
    await until(async () => {
      events = await eventsOf();
      return events?.replicas.filter(({ current }) => current).length === 3;
    }, 'three copies');
    expect(events?.replicas.filter(({ leader }) => leader).map(({ name }) => name)).toEqual([
      events?.leader,
    ]);
    const follower = cluster.servers.find(({ name }) => name !== events?.leader);
    await follower?.kill('SIGKILL');
    await until(
      async () => {
        events = await eventsOf();
        return events?.replicas.find(({ name }) => name === follower?.name)?.current === false;
      },
      () => `it is not current; there is ${JSON.stringify(events?.replicas)}`,
      60_000,
    );
  } finally {
    for (const service of services) await service.stop();
    await cluster.stop();
  }
}, 180_000);

describe('what poses as a Jaeger', () => {
  let server: Server;
  let gateway: Service;
  let answer: (id: string) => { status?: number; body: string | Buffer };
  beforeAll(async () => {
    server = createServer((request, response) => {
      const { status = 200, body } = answer(request.url ?? '');
      response.writeHead(status, { location: '/elsewhere' }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    gateway = (await startSystemGateway({
      TIDEMARK_GATEWAY_JAEGER_URL: `http://127.0.0.1:${port}/`,
    })) as Service;
  });
  let system: System;
  async function startSystemGateway(env: Readonly<Record<string, string>>): Promise<Service> {
    system = await startSystem({ env });
    return system.gateway;
  }
  afterAll(async () => {
    server.close();
    await system.stop();
  });

  test.each([
    ['no JSON', { body: '<html>' }, 503, 'unavailable'],
    ['something else', { body: '{"data": [{"spans": "many"}]}' }, 503, 'unavailable'],
    ['a redirect', { status: 302, body: '' }, 503, 'unavailable'],
    ['a fault', { status: 500, body: '' }, 503, 'unavailable'],
    ['no trace', { body: '{"data": null, "errors": []}' }, 404, 'not_found'],
    ['more than 8 MiB', { body: Buffer.alloc(9 * 1024 * 1024, ' ') }, 413, 'too_large'],
  ])('%s: a typed error', async (_, given, status, code) => {
    answer = () => given;
    const response = await get(gateway, `/v1/admin/traces/${'1'.repeat(32)}`);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ code });
  });

  test('a trace of more spans than are answered: the first ones, and how many are left out', async () => {
    const spans = Array.from({ length: 600 }, (_, n) => ({
      ...{ spanID: `s${n}`, operationName: 'work', processID: 'p1' },
      ...{ startTime: (1000 - n) * 1000, duration: 1500, references: [] },
      tags: [
        { key: 'error', type: 'bool', value: true },
        { key: 'n', type: 'int64', value: n },
        { key: 'odd', value: { nested: 1 } },
      ],
    }));
    const processes = { p1: { serviceName: 'service' } };
    answer = () => ({ body: JSON.stringify({ data: [{ traceID: 'x', spans, processes }] }) });
    const id = '2'.repeat(32);
    const trace = (await (await get(gateway, `/v1/admin/traces/${id}`)).json()) as AdminTrace;
    expect(trace).toMatchObject({ traceId: id, url: null, spansLeftOut: 100 });
    expect(trace.spans).toHaveLength(500);
    expect(trace.spans[0]).toEqual({
      ...{ id: 's599', parent: null, service: 'service', name: 'work' },
      ...{ startMs: 401, durationMs: 1.5, error: true },
      attributes: { error: true, n: 599, odd: '{"nested":1}' },
    });
  });
});

describe.skipIf(JAEGER_BINARY === undefined)('traces (needs Jaeger)', () => {
  let running: Jaeger | undefined;
  let system: System;
  beforeAll(async () => {
    const jaeger = await startJaeger(JAEGER_BINARY ?? '');
    running = jaeger;
    system = await startSystem({
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpUrl,
        OTEL_BSP_SCHEDULE_DELAY: '100',
        TIDEMARK_GATEWAY_JAEGER_URL: jaeger.queryUrl,
        TIDEMARK_GATEWAY_JAEGER_PAGE: 'https://jaeger.example/trace/',
      },
    });
  });
  afterAll(async () => {
    await system?.stop();
    await running?.stop();
  });

  test('the trace of an event: its spans with their parents; of another id: 404; Jaeger gone: 503', async () => {
    const traceId = randomBytes(16).toString('hex');
    const parent = randomBytes(8).toString('hex');
    const response = await fetch(`${system.ingest.url}/v1/events`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${system.token}`,
        'content-type': 'application/json',
        traceparent: `00-${traceId}-${parent}-01`,
      },
      body: JSON.stringify(numbered('traced', 1)),
    });
    expect(response.status).toBe(201);
    let trace: AdminTrace | undefined;
    await until(async () => {
      const answer = await get(system.gateway, `/v1/admin/traces/${traceId}`);
      if (answer.status !== 200) return false;
      trace = (await answer.json()) as AdminTrace;
      return trace.spans.length >= 5;
    }, 'the spans');
    expect(trace?.url).toBe(`https://jaeger.example/trace/${traceId}`);
    const request = trace?.spans.find(({ name }) => name === 'POST /v1/events');
    expect(request).toMatchObject({
      ...{ parent, service: 'tidemark-ingest', error: false },
      attributes: { 'http.response.status_code': 201 },
    });
    expect(Math.abs(Date.now() - (request?.startMs ?? 0))).toBeLessThan(60_000);
    expect(trace?.spans.find(({ name }) => name === 'validate')).toMatchObject({
      parent: request?.id,
    });
    const unknown = randomBytes(16).toString('hex');
    expect((await get(system.gateway, `/v1/admin/traces/${unknown}`)).status).toBe(404);
    await running?.stop();
    running = undefined;
    expect((await get(system.gateway, `/v1/admin/traces/${traceId}`)).status).toBe(503);
  });
});
