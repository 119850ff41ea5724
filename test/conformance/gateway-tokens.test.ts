import { signToken } from '@tidemark/auth';
import { CLOSE_CODES } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilEvents } from '../support/clients.ts';
import { TEST_SECRET } from '../support/services.ts';
import { numbered, type System, startSystem, streamState } from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';
import { refusedTokens, remember, token, used } from './tokens.ts';

/* PROTOCOL.md section 8.1: who may do what, and that no log shows a token. */

const COOKIE = 'tidemark_token';
const PAGE = 'https://app.example';

let system: System;
beforeAll(async () => {
  system = await startSystem({
    env: {
      TIDEMARK_TOKEN_COOKIE: COOKIE,
      TIDEMARK_ALLOWED_ORIGINS: PAGE,
      TIDEMARK_GATEWAY_TOKEN_GRACE_MS: '0',
      TIDEMARK_LOG_LEVEL: 'trace',
      TIDEMARK_GATEWAY_HEARTBEAT_MS: '100',
    },
  });
  remember(system.token);
});
afterAll(() => system.stop());

/** The answer to a connection that must not come to be. */
async function refusedUpgrade(
  bearer: string | undefined,
): Promise<{ status: number; code: string }> {
  const client = new WebSocketClient(system.gateway.url, {
    ...(bearer !== undefined && { token: bearer }),
  });
  return new Promise((resolve, reject) => {
    client.socket.on('open', () => reject(new Error('The upgrade was accepted.')));
    client.socket.on('unexpected-response', async (_request, response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      client.socket.terminate();
      resolve({ status: response.statusCode ?? 0, code: JSON.parse(text).code });
    });
  });
}

describe.each(refusedTokens)('token: %s', (_, make, code) => {
  test('WebSocket, SSE and ingest: 401, and nothing is stored', async () => {
    const bearer = await make();
    const before = await streamState(system.nats.url);
    expect(await refusedUpgrade(bearer)).toEqual({ status: 401, code });
    const headers = { authorization: `Bearer ${bearer}` };
    const sse = await fetch(`${system.gateway.url}/v1/sse?topics=a`, { headers });
    const post = await fetch(`${system.ingest.url}/v1/events`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(numbered('a', 1)),
    });
    for (const response of [sse, post]) {
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await response.json()).toMatchObject({ code });
    }
    expect(await streamState(system.nats.url)).toEqual(before);
  });

  test('authenticate over WebSocket: refused, and the connection keeps what it had', async () => {
    const client = system.open({ token: await token('subscribe:kept') });
    client.send({ type: 'subscribe', id: 's', topics: ['kept'] });
    await client.first('live');
    client.send({ type: 'authenticate', token: await make() });
    expect(await client.first('error')).toMatchObject({ code });
    await system.publisher.store({ ...numbered('kept', 1), id: crypto.randomUUID() });
    await client.first('event');
    await client.close();
  });
});

test('token: none at all: 401 everywhere but for health and metrics', async () => {
  expect(await refusedUpgrade(undefined)).toEqual({ status: 401, code: 'unauthenticated' });
  for (const { url } of [system.gateway, system.ingest, system.replay]) {
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      expect((await fetch(url + path)).status).toBe(200);
    }
  }
  for (const [service, path] of [
    [system.gateway, '/v1/sse?topics=a'],
    [system.gateway, '/v1/sse'],
    [system.gateway, '/v1/head'],
    [system.replay, '/v1/head'],
    [system.replay, '/v1/events'],
    [system.replay, '/v1/topics'],
    [system.replay, '/v1/events/abc-1'],
  ] as const) {
    const response = await fetch(service.url + path);
    expect([path, response.status]).toEqual([path, 401]);
    expect(await response.json()).toMatchObject({ code: 'unauthenticated' });
  }
  const post = await fetch(`${system.ingest.url}/v1/events`, { method: 'POST', body: '{}' });
  expect(post.status).toBe(401);
});

describe('places that a token may be in', () => {
  test('WebSocket: header, subprotocol, query and cookie', async () => {
    const bearer = await token('subscribe:>');
    const places = [
      { token: bearer },
      { protocols: ['tidemark.v1', `bearer.${bearer}`] },
      { protocols: [`bearer.${bearer}`, 'tidemark.v1'] },
      { query: `?access_token=${bearer}` },
      { headers: { cookie: `theme=dark; ${COOKIE}=${bearer}; other=1`, origin: PAGE } },
    ];
    for (const place of places) {
      const client = new WebSocketClient(system.gateway.url, place);
      await client.first('welcome');
      expect(client.socket.protocol).toBe('tidemark.v1');
      client.send({ type: 'subscribe', id: 's', topics: ['a'] });
      await client.first('live');
      await client.close();
    }
  });

  test('SSE: header, query and cookie', async () => {
    const bearer = await token('subscribe:>');
    const places: [string, Record<string, string>][] = [
      ['', { authorization: `Bearer ${bearer}` }],
      ['', { authorization: `bearer ${bearer}` }],
      [`&access_token=${bearer}`, {}],
      ['', { cookie: `${COOKIE}=${bearer}`, origin: PAGE }],
      ['', { cookie: `${COOKIE}=${bearer}`, 'sec-fetch-site': 'same-origin' }],
    ];
    for (const [query, headers] of places) {
      const url = `${system.gateway.url}/v1/sse?topics=a${query}`;
      const response = await fetch(url, { headers });
      expect(response.status).toBe(200);
      await response.body?.cancel();
    }
  });

  test('cookie: sent along for a page that is not known: it speaks for nobody', async () => {
    const cookie = `${COOKIE}=${await token('subscribe:>')}`;
    const url = `${system.gateway.url}/v1/sse?topics=a`;
    const foreign = await fetch(url, { headers: { cookie, origin: 'https://evil.example' } });
    expect(foreign.status).toBe(403);
    expect((await fetch(url, { headers: { cookie } })).status).toBe(401);
  });
});

describe('permissions', () => {
  test.each([
    ['subscribe:orders.*', 'orders.42', true],
    ['subscribe:orders.*', 'orders.*', true],
    ['subscribe:orders.>', 'orders.*.items', true],
    ['subscribe:>', '>', true],
    ['subscribe:a publish:b subscribe:c.*', 'a,c.1', true],
    ['subscribe:orders.*', 'orders.>', false],
    ['subscribe:orders.*', '>', false],
    ['subscribe:orders.*', '*.*', false],
    ['subscribe:orders.1 subscribe:orders.2', 'orders.*', false],
    ['subscribe:orders.42', 'orders.42,orders.43', false],
    ['publish:orders.42', 'orders.42', false],
    ['admin', 'orders.42', false],
    ['', 'orders.42', false],
    ['subscribe:orders..* subscribe', 'orders.42', false],
  ])('%s: subscription to %s: %s', async (scope, topics, allowed) => {
    const bearer = await token(scope);
    const client = system.open({ token: bearer });
    client.send({ type: 'subscribe', id: 's', topics: topics.split(',') });
    const url = `${system.gateway.url}/v1/sse?topics=${topics}`;
    const response = await fetch(url, { headers: { authorization: `Bearer ${bearer}` } });
    if (allowed) {
      await client.first('subscribed', 's');
      expect(response.status).toBe(200);
      await response.body?.cancel();
    } else {
      expect(await client.first('error')).toMatchObject({ id: 's', code: 'forbidden' });
      expect(client.all('subscribed')).toEqual([]);
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ code: 'forbidden', retryable: false });
    }
    await client.close();
  });

  test('publish: only to what is granted; the publisher is whose token it is', async () => {
    const listener = system.listen('sse', { topics: 'chat.>' });
    await until(() => listener.live);
    const client = system.open({ token: await token('publish:chat.lobby', 'bob') });
    const event = { ...numbered('chat.lobby', 1), publisher: 'mallory' };
    client.send({ type: 'publish', id: '1', event: { ...event, topic: 'chat.cellar' } });
    expect(await client.first('error', '1')).toMatchObject({ code: 'forbidden' });
    client.send({ type: 'publish', id: '2', event });
    const { cursor } = await client.first('published', '2');
    await untilEvents(listener, 1);
    expect(listener.events).toMatchObject([{ cursor, event: { id: '1', publisher: 'bob' } }]);
    await client.close();
  });
});

describe('time', () => {
  test('a token expires: WebSocket closed with 4004, SSE error event, both at once', async () => {
    const bearer = await token('subscribe:>', 'alice', 2);
    const client = system.open({ token: bearer });
    client.send({ type: 'subscribe', id: 's', topics: ['a'] });
    await client.first('live');
    const url = `${system.gateway.url}/v1/sse?topics=a&access_token=${bearer}`;
    const text = await (await fetch(url)).text();
    expect(text).toMatch(/event: error\ndata: \{"code":"token_expired".*"retryable":true/);
    expect((await client.closed).code).toBe(CLOSE_CODES.token_expired);
  });

  test('authenticate: a longer token in time: it stays; a narrower one: loses subscriptions', async () => {
    const client = system.open({ token: await token('subscribe:>', 'alice', 2) });
    for (const id of ['a', 'b']) client.send({ type: 'subscribe', id, topics: [id] });
    await client.first('live', 'a');
    await client.first('live', 'b');
    client.send({ type: 'authenticate', token: await token('subscribe:a', 'alice', 60) });
    await client.first('authenticated');
    expect(await client.first('error')).toMatchObject({ id: 'b', code: 'forbidden' });
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await system.publisher.storeAll([numbered('b', 1), numbered('a', 2)]);
    await client.first('event');
    expect(client.all('event').map(({ event }) => event.id)).toEqual(['2']);
    await client.close();
  });

  test('authenticate: the token of somebody else: forbidden', async () => {
    const client = system.open({ token: await token('subscribe:a', 'alice') });
    client.send({ type: 'authenticate', token: await token('subscribe:>', 'mallory') });
    expect(await client.first('error')).toMatchObject({ code: 'forbidden' });
    client.send({ type: 'subscribe', id: 's', topics: ['b'] });
    expect(await client.first('error', 's')).toMatchObject({ code: 'forbidden' });
    await client.close();
  });
});

test('issuer and audience: where they are configured, tokens without them are refused', async () => {
  const strict = await system.startGateway({
    TIDEMARK_TOKEN_ISSUER: 'https://issuer.test',
    TIDEMARK_TOKEN_AUDIENCE: 'tidemark',
  });
  const sign = async (more: { issuer?: string; audience?: string }) =>
    remember(
      await signToken({
        secret: TEST_SECRET,
        subject: 'alice',
        scope: 'subscribe:>',
        ttlSeconds: 60,
        ...more,
      }),
    );
  const issuer = 'https://issuer.test';
  const statuses = [];
  for (const claims of [
    {},
    { issuer },
    { audience: 'tidemark' },
    { issuer: 'https://other.test', audience: 'tidemark' },
    { issuer, audience: 'tidemark' },
  ]) {
    const headers = { authorization: `Bearer ${await sign(claims)}` };
    const response = await fetch(`${strict.url}/v1/sse?topics=a`, { headers });
    statuses.push(response.status);
    await response.body?.cancel();
  }
  expect(statuses).toEqual([401, 401, 401, 401, 200]);
});

// The last test, so that it sees what all the others left behind.
test('logs: at the most talkative level: no line of any process holds a token', async () => {
  const { gateways, ingest, replay } = system;
  const text = [...gateways, ingest, replay]
    .flatMap(({ logs }) => logs)
    .map((line) => JSON.stringify(line))
    .join('\n');
  expect(text.length).toBeGreaterThan(1000);
  expect(used.size).toBeGreaterThan(30);
  for (const bearer of used) {
    const signature = bearer.split('.').at(-1) || bearer;
    expect(text).not.toContain(bearer);
    expect(text).not.toContain(signature);
  }
});
