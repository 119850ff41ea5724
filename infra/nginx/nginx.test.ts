import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TRANSPORTS, untilEvents } from '../../test/support/clients.ts';
import {
  HAS_NGINX,
  HEARTBEAT_MS,
  type Nginx,
  READ_TIMEOUT_S,
  startNginx,
} from '../../test/support/nginx.ts';
import { makeToken } from '../../test/support/services.ts';
import {
  metric,
  namesOf,
  numbered,
  publishUntil,
  type System,
  startSystem,
} from '../../test/support/system.ts';
import { until } from '../../test/support/until.ts';

/* Real traffic through a real nginx. Skipped where there is none. */

describe.skipIf(!HAS_NGINX)('nginx (needs nginx)', () => {
  let system: System;
  let proxy: Nginx;
  beforeAll(async () => {
    const env = {
      TIDEMARK_GATEWAY_HEARTBEAT_MS: HEARTBEAT_MS,
      // Long enough for clients that are sent away to knock at the gateway that drains.
      TIDEMARK_GATEWAY_DRAIN_MS: '2000',
    };
    system = await startSystem({ gateways: 2, env });
    proxy = await startNginx(system);
  });
  afterAll(async () => {
    await proxy?.stop();
    await system?.stop();
  });

  test('operators: the console, admin calls and the rest have one origin; clients see none of the first two', async () => {
    const headers = { authorization: `Bearer ${await makeToken('admin history:>', 'operator')}` };
    const status = async (base: string, path: string) => {
      const response = await fetch(base + path, { headers, redirect: 'manual' });
      await response.body?.cancel();
      return response.status;
    };
    const forOperators = [
      '/console/configuration.json',
      '/v1/admin/stats',
      '/v1/admin/connections',
      '/v1/admin/streams',
    ];
    for (const path of forOperators) {
      expect(await status(proxy.operatorsUrl, path), path).toBe(200);
      expect(await status(proxy.url, path), path).toBe(404);
    }
    // Answered by replay, where no rebuild was begun and no erasure recorded.
    const { operatorsUrl } = proxy;
    const rebuild = await fetch(`${operatorsUrl}/v1/admin/rebuild`, { headers });
    expect(await rebuild.json()).toMatchObject({ message: 'No rebuild was begun.' });
    expect(await status(operatorsUrl, '/v1/admin/erasures/nothing')).toBe(400);
    expect(await status(operatorsUrl, '/v1/admin/erasures')).toBe(405);
    expect(await status(operatorsUrl, '/console')).toBe(308);
    for (const base of [operatorsUrl, proxy.url]) {
      expect(await status(base, '/v1/me')).toBe(200);
      expect(await status(base, '/v1/events?limit=1')).toBe(200);
    }
  });

  test('operators: figures come each second, and not in heaps', async () => {
    const headers = {
      accept: 'text/event-stream',
      authorization: `Bearer ${await makeToken('admin', 'operator', 30)}`,
    };
    const leaving = new AbortController();
    const { signal } = leaving;
    const response = await fetch(`${proxy.operatorsUrl}/v1/admin/stats`, { headers, signal });
    const times: string[] = [];
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      const found = [...text.matchAll(/"time":"([^"]+)"/g)].map(([, time = '']) => time);
      const [newest = ''] = found.slice(-1);
      // Each is here before the next one is made.
      if (found.length > times.length) expect(Date.now() - Date.parse(newest)).toBeLessThan(10_000);
      times.splice(0, times.length, ...found);
      if (times.length >= 3) break;
    }
    leaving.abort();
    expect(new Set(times).size).toBe(3);
  });

  test('nginx -t: the configuration as it is shipped: is valid', () => {
    expect(proxy.check()).toContain('test is successful');
  });

  test('a location that sets a header: sets those of all, since it inherits none', () => {
    const text = readFileSync(join(import.meta.dirname, 'nginx.conf'), 'utf8');
    const [before = '', ...locations] = text.split(/^ {4}location /m);
    const common = before.match(/proxy_set_header (?!Connection)\S+ \S+;/g) ?? [];
    expect(common).toContain('proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;');
    for (const location of locations.filter((one) => one.includes('proxy_set_header'))) {
      for (const line of common) expect(location).toContain(line);
    }
  });

  test('publishing and history on one path: each request finds its service', async () => {
    const headers = {
      authorization: `Bearer ${system.token}`,
      'content-type': 'application/json',
    };
    const body = JSON.stringify(numbered('proxied.http', 1));
    const stored = await fetch(`${proxy.url}/v1/events`, { method: 'POST', headers, body });
    expect(stored.status).toBe(201);
    const { cursor } = (await stored.json()) as { cursor: string };
    const one = await fetch(`${proxy.url}/v1/events/${cursor}`, { headers });
    expect(await one.json()).toMatchObject({ event: numbered('proxied.http', 1) });
    const page = await fetch(`${proxy.url}/v1/events?topics=proxied.http`, { headers });
    expect(((await page.json()) as { items: unknown[] }).items).toHaveLength(1);
  });

  test('an inbox: finds replay', async () => {
    const headers = { authorization: `Bearer ${await makeToken('inbox:>', 'alice')}` };
    for (const path of ['/v1/inbox', '/v1/inbox/counts', '/v1/inbox/follows']) {
      const answer = await fetch(`${proxy.url}${path}`, { headers });
      expect([path, answer.status]).toEqual([path, 200]);
    }
  });

  test('the client library: comes from a gateway, with its parts', async () => {
    for (const path of ['/client.js', '/client-http.js']) {
      const answer = await fetch(`${proxy.url}${path}`);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(answer.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    }
  });

  test('a webhook: finds ingest, which says that it knows no such sender', async () => {
    const headers = { 'content-type': 'application/json' };
    const request = { method: 'POST', headers, body: '{}' };
    const answer = await fetch(`${proxy.url}/v1/hooks/nobody`, request);
    expect([answer.status, await answer.json()]).toEqual([
      404,
      expect.objectContaining({ message: 'There is no hook nobody here.' }),
    ]);
  });

  test.each(['/metrics', '/readyz', '/v1/admin/revocations'])(
    '%s: is not for the outside',
    async (path) => {
      expect((await fetch(`${proxy.url}${path}`)).status).toBe(404);
    },
  );

  test.each(TRANSPORTS)(
    '%s: events arrive at once, and idle beyond the timeout it stays',
    async (transport) => {
      const topics = `proxied.${transport}`;
      const listener = system.listen(transport, { topics, urls: [proxy.url] });
      await until(() => listener.live);
      await system.publisher.store(numbered(topics, 1));
      await untilEvents(listener, 1);
      await sleep(READ_TIMEOUT_S * 1500);
      await system.publisher.store(numbered(topics, 2));
      await untilEvents(listener, 2);
      expect(listener.connections).toBe(1);
    },
  );

  test('the proxy restarts while events pass: clients resume at their cursors, each event once', async () => {
    const topics = 'proxied.restart';
    const listeners = TRANSPORTS.map((transport) =>
      system.listen(transport, { topics, urls: [proxy.url] }),
    );
    for (const listener of listeners) await until(() => listener.live);
    for (let n = 1; n <= 30; n++) {
      if (n === 10) await proxy.restart();
      await system.publisher.store(numbered(topics, n));
    }
    for (const listener of listeners) {
      await untilEvents(listener, 30);
      expect(listener.ids).toEqual(Array.from({ length: 30 }, (_, index) => String(index + 1)));
      expect(listener.connections).toBeGreaterThan(1);
    }
  });

  test('rolling restart of the gateways: clients move on at once, each event once', async () => {
    const topics = 'proxied.rolling';
    const listeners = Array.from({ length: 8 }, (_, index) =>
      system.listen(index % 2 ? 'sse' : 'websocket', { topics, urls: [proxy.url] }),
    );
    for (const listener of listeners) await until(() => listener.live);
    let done = false;
    const publishing = publishUntil(() => done, topics, system.publisher);
    for (const gateway of system.gateways) await gateway.restart();
    for (const listener of listeners) await until(() => listener.live);
    done = true;
    const stored = await publishing;
    for (const listener of listeners) {
      await untilEvents(listener, stored.length);
      expect(namesOf(listener)).toEqual(stored);
      // Sent away once by each gateway, at most; the other one took it at the first knock.
      expect(listener.connections).toBeLessThanOrEqual(3);
      const codes = listener.received.flatMap((one) => (one.type === 'closed' ? [one.code] : []));
      if (listener.transport === 'websocket')
        expect(new Set([4000, ...codes])).toEqual(new Set([4000]));
    }
  });

  test('no gateway answers: an EventSource is asked to come back, and does', async () => {
    const topics = 'proxied.nobody';
    const listener = system.listen('sse', { topics, urls: [proxy.url] });
    await until(() => listener.live);
    const [first, second] = system.gateways;
    await Promise.all([first?.kill('SIGKILL'), second?.kill('SIGKILL')]);
    await until(() => listener.received.some(({ type }) => type === 'error'));
    expect(listener.received.find(({ type }) => type === 'error')).toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
    const url = `${proxy.url}/v1/sse?topics=${topics}&access_token=${system.token}`;
    const withoutCursor = await fetch(url);
    expect(withoutCursor.status).toBe(200);
    expect(await withoutCursor.text()).not.toMatch(/^id/m);
    const headers = { 'last-event-id': 'log.1-7' };
    expect(await (await fetch(url, { headers })).text()).toMatch(/^data: .*\nid: log.1-7\n\n$/m);
    expect(proxy.log()).not.toContain(system.token.slice(0, 20));
    const before = listener.connections;
    await Promise.all([first?.restart(), second?.restart()]);
    await until(() => listener.live);
    expect(listener.connections).toBeGreaterThan(before);
    await system.publisher.store(numbered(topics, 1));
    await untilEvents(listener, 1);
  });

  test('least connections: eight clients: four at each gateway', async () => {
    const listeners = Array.from({ length: 8 }, () =>
      system.listen('websocket', { topics: 'proxied.spread', urls: [proxy.url] }),
    );
    const before = await Promise.all(
      system.gateways.map((one) => metric(one, 'gateway_connections')),
    );
    for (const listener of listeners) await until(() => listener.live);
    const after = await Promise.all(
      system.gateways.map((one) => metric(one, 'gateway_connections')),
    );
    expect(Math.abs((after[0] ?? 0) - (after[1] ?? 0))).toBeLessThanOrEqual(
      Math.max(1, Math.abs((before[0] ?? 0) - (before[1] ?? 0))),
    );
  });

  test('a token in the query: is in no line of the log', async () => {
    const url = `${proxy.url}/v1/sse?topics=proxied.log&access_token=${system.token}`;
    const controller = new AbortController();
    const response = await fetch(url, { signal: controller.signal });
    expect(response.status).toBe(200);
    controller.abort();
    await until(() => proxy.log().includes('/v1/sse 200'));
    expect(proxy.log()).not.toContain(system.token.slice(0, 20));
  });

  test('a gateway is killed: through the proxy too the stream is cut, and does not end', async () => {
    const gateway = await system.startGateway();
    const alone = await startNginx({ ...system, gateways: [gateway] });
    const url = `${alone.url}/v1/sse?topics=proxied.cut&access_token=${system.token}`;
    const response = await fetch(url);
    const isCut = expect(response.text()).rejects.toThrow('terminated');
    await gateway.kill('SIGKILL');
    await isCut;
    await alone.stop();
  });
});
