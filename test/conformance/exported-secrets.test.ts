import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Collector, startCollector } from '../support/collector.ts';
import { NATS_PASSWORD } from '../support/nats-server.ts';
import { keepSecret, makeToken, type Service, TEST_SECRET } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/* SECURITY.md: what services export as traces and show as metrics, against the secrets they were sent. */

const COOKIE = 'tidemark_token';
const PAGE = 'https://app.example';
const PAYLOAD = 'a payload that only its readers may see';
const SCOPE = 'subscribe:> publish:> history:> admin';

let collector: Collector;
let system: System;
const secrets = new Set([TEST_SECRET, NATS_PASSWORD, PAYLOAD]);

beforeAll(async () => {
  collector = await startCollector();
  system = await startSystem({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '100',
      TIDEMARK_TOKEN_COOKIE: COOKIE,
      TIDEMARK_ALLOWED_ORIGINS: PAGE,
      TIDEMARK_LOG_LEVEL: 'trace',
    },
  });
});
afterAll(async () => {
  await system?.stop();
  await collector?.stop();
});

function exported(): string {
  return collector.texts.join('\n');
}

async function token(subject = 'alice'): Promise<string> {
  return remember(await makeToken(SCOPE, subject));
}

function remember(secret: string): string {
  secrets.add(keepSecret(secret));
  return secret;
}

/** A request that is traced, whatever comes of it. */
async function ask(service: Service, path: string, init: RequestInit = {}): Promise<Response> {
  const [trace, span] = [randomBytes(16), randomBytes(8)].map((bytes) => bytes.toString('hex'));
  const headers = { traceparent: `00-${trace}-${span}-01`, ...init.headers };
  return fetch(`${service.url}${path}`, { ...init, headers });
}

async function bearer(): Promise<Record<string, string>> {
  return { authorization: `Bearer ${await token()}` };
}

async function publishEverywhere(): Promise<void> {
  const { ingest } = system;
  const headers = { ...(await bearer()), 'content-type': 'application/json' };
  for (const event of [
    { type: 'exported.a', data: PAYLOAD },
    { type: 'not a topic', data: PAYLOAD },
    { type: 'exported.a', data: PAYLOAD, [PAYLOAD]: PAYLOAD },
  ]) {
    await ask(ingest, '/v1/events', { method: 'POST', headers, body: JSON.stringify(event) });
  }
  const body = `{"type":"exported.a","data":"${PAYLOAD}`;
  await ask(ingest, '/v1/events', { method: 'POST', headers, body });
  const client = system.open({ token: await token() });
  client.send({ type: 'publish', id: 'p', event: { type: 'exported.a', data: PAYLOAD } });
  await client.first('published', 'p');
  client.send({ type: 'authenticate', token: await token('somebody else') });
  await client.first('error');
  await client.close();
}

async function readEverywhere(): Promise<void> {
  const { gateway, replay } = system;
  const places: [string, Record<string, string>][] = [
    ['', await bearer()],
    [`&access_token=${await token()}`, {}],
    [`&access_token=${remember(`${await token()}x`)}`, {}],
    ['', { cookie: `${COOKIE}=${await token()}`, origin: PAGE }],
    ['', { cookie: `${COOKIE}=${await token()}`, origin: 'https://other.example' }],
    [`&ticket=${remember(randomBytes(32).toString('base64url'))}`, {}],
  ];
  const asked = await ask(gateway, '/v1/tickets', { method: 'POST', headers: await bearer() });
  const { ticket } = (await asked.json()) as { ticket: string };
  places.push([`&ticket=${remember(ticket)}`, {}]);
  for (const [query, headers] of places) {
    const stream = await ask(gateway, `/v1/sse?topics=exported.*&after=earliest${query}`, {
      headers,
    });
    await stream.body?.cancel();
    await ask(replay, `/v1/events?topics=exported.*${query}`, { headers });
    await ask(replay, `/v1/topics?topics=exported.*${query}`, { headers });
  }
  const protocols = ['tidemark.v1', `bearer.${await token()}`];
  const client = new WebSocketClient(gateway.url, { protocols });
  client.send({
    type: 'subscribe',
    id: 's',
    topics: ['exported.*'],
    after: 'earliest',
    trace: true,
  });
  await client.first('live', 's');
  await client.close();
}

async function callAdmin(): Promise<void> {
  const body = JSON.stringify({ sub: 'nobody' });
  for (const path of ['revocations', 'disconnect', 'nothing']) {
    const headers = await bearer();
    await ask(system.gateway, `/v1/admin/${path}`, { method: 'POST', headers, body });
  }
}

test('traces and metrics: hold no token, ticket, cookie, secret or payload', async () => {
  await publishEverywhere();
  await readEverywhere();
  await callAdmin();
  const services = [system.gateway, system.ingest, system.replay];
  const metrics = await Promise.all(
    services.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()),
  );
  await until(() => {
    const names = ['POST /v1/events', 'GET /v1/sse', 'GET /v1/events', 'POST /v1/tickets'];
    return names.every((name) => exported().includes(name));
  }, 'the spans of all requests');
  // What was sampled last is handed over when a service ends.
  await Promise.all(services.map((service) => service.kill()));
  const shown = [exported(), ...metrics].join('\n');
  for (const name of ['tidemark-gateway', 'tidemark-ingest', 'tidemark-replay', 'catch up']) {
    expect(shown).toContain(name);
  }
  // The last part of a token is its signature, which is enough to tell it.
  const endings = [...secrets].map((secret) => secret.slice(-40));
  const lines = shown.split('\n');
  expect(lines.filter((line) => endings.some((ending) => line.includes(ending)))).toEqual([]);
  expect(shown).not.toMatch(/access_token|ticket=|eyJ[A-Za-z0-9_-]{10,}\./);
  expect(secrets.size).toBeGreaterThan(15);
  // Texts of events are seen where they are exported: their topics are.
  expect(shown).toContain('exported.a');
});
