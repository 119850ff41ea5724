import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { limitHits, makeToken, type Service, startService } from '../support/services.ts';
import { until } from '../support/until.ts';
import { type HooksFile, signers, writeHooks } from './hooks.ts';
import { type IngestSetup, startIngest } from './ingest-setup.ts';

/* PROTOCOL.md section 10.2: what becomes of webhooks where something is away, full or wrong. */

const KIB = 1024;
const BODY_BYTES = 256 * KIB;
const REFUSALS = 5;

let file: HooksFile;
let setup: IngestSetup;
beforeAll(async () => {
  file = writeHooks();
  setup = await startIngest({
    env: {
      ...file.env,
      TIDEMARK_TRUSTED_PROXIES: '127.0.0.1',
      TIDEMARK_HTTP_REFUSALS_PER_SECOND_MAX: String(REFUSALS),
      TIDEMARK_INGEST_BODY_BYTES_MAX: String(BODY_BYTES),
      TIDEMARK_INGEST_BODIES_BYTES_PER_USER_MAX: String(4 * BODY_BYTES),
      TIDEMARK_INGEST_BODIES_BYTES_MAX: String(8 * BODY_BYTES),
    },
  });
});
afterAll(async () => {
  await setup?.stop();
  file.remove();
});

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Sent {
  readonly id: string;
  readonly address?: string;
  readonly secret?: string;
}

async function sendGithub({ id, address = '203.0.113.1', secret }: Sent): Promise<Response> {
  const body = JSON.stringify({ id });
  return fetch(`${setup.ingest.url}/v1/hooks/github`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': address,
      'x-github-event': 'ping',
      'x-github-delivery': id,
      ...signers.github(body, secret),
    },
    body,
  });
}

test('webhook while NATS is away: 503 at once; sent again later: stored once', async () => {
  await setup.nats.kill('SIGKILL');
  await until(async () => (await fetch(`${setup.ingest.url}/readyz`)).status === 503);
  const startMs = performance.now();
  const refused = await sendGithub({ id: 'away' });
  expect(performance.now() - startMs).toBeLessThan(2000);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
  expect(await refused.json()).toMatchObject({ code: 'unavailable', retryable: true });
  await setup.nats.restart();
  await setup.ingest.waitUntilReady();
  await until(async () => (await sendGithub({ id: 'away' })).status === 200);
  expect((await sendGithub({ id: 'away' })).status).toBe(200);
  expect((await setup.stored()).filter(({ event }) => event.id === 'away')).toHaveLength(1);
});

test('wrong signatures from an address: count like wrong tokens; others are served', async () => {
  const wrong = { id: 'wrong', address: '203.0.113.2', secret: 'nobody has this secret' };
  const statuses: number[] = [];
  await until(async () => {
    statuses.push((await sendGithub(wrong)).status);
    return statuses.at(-1) === 429;
  });
  expect(new Set(statuses)).toEqual(new Set([401, 429]));
  expect(statuses.length).toBeGreaterThan(REFUSALS);
  expect((await sendGithub({ id: 'right', address: wrong.address })).status).toBe(429);
  expect((await sendGithub({ id: 'right', address: '203.0.113.3' })).status).toBe(200);
  expect(await limitHits(setup.ingest, 'refusals_per_second')).toBeGreaterThan(0);
});

/** A webhook that lacks its last byte. */
async function hold(address: string): Promise<Socket> {
  const socket = connect(setup.ingest.port, '127.0.0.1');
  cleanups.push(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(
    [
      'POST /v1/hooks/github HTTP/1.1',
      'Host: ingest',
      'Content-Type: application/json',
      `X-Forwarded-For: ${address}`,
      `Content-Length: ${BODY_BYTES}`,
      '\r\n',
    ].join('\r\n'),
  );
  socket.write(Buffer.alloc(BODY_BYTES - 1, ' '));
  return socket;
}

test('bodies of unknown senders that never end: leave a part to other addresses, and all else to users', async () => {
  const greedy = await Promise.all(Array.from({ length: 4 }, () => hold('203.0.113.4')));
  const answers = greedy.map(async (socket) => String((await once(socket, 'data'))[0]));
  expect(await Promise.race(answers)).toMatch(/^HTTP\/1.1 429 /);
  expect(await limitHits(setup.ingest, 'hook_bodies_bytes')).toBeGreaterThan(0);
  expect((await sendGithub({ id: 'other address', address: '203.0.113.5' })).status).toBe(200);
  const large = { type: 'large', data: 'x'.repeat(BODY_BYTES - 10 * KIB) };
  expect((await setup.post(large)).status).toBe(201);
});

test('a token whose sub is the publisher of a hook: 401', async () => {
  const token = await makeToken('publish:>', 'hook:github');
  const { status, body } = await setup.post({ type: 'posing' }, { token });
  expect([status, body]).toEqual([401, expect.objectContaining({ code: 'unauthenticated' })]);
});

async function startWith(hooks: object): Promise<Service> {
  const wrong = writeHooks(hooks);
  cleanups.push(wrong.remove);
  const service = await startService('ingest', { natsUrl: setup.nats.url, env: wrong.env });
  cleanups.push(service.stop);
  return service;
}

test('a file with a fault: ends the start, with a sentence that names the hook and the field', async () => {
  const plain = { topic: 'a', type: 't', id: '{sha256}', source: '/s', signature: 'none' };
  await expect(startWith({ shop: { ...plain, topic: 'a..b' } })).rejects.toThrow(
    'TIDEMARK_INGEST_HOOKS: hook shop: topic must be a topic',
  );
  const secrets = ['env:NOT_SET'];
  await expect(
    startWith({ shop: { ...plain, signature: { style: 'github', secrets } } }),
  ).rejects.toThrow('hook shop: signature.secrets[0] names the variable NOT_SET, which is not set');
});

test('no file: there are no hooks', async () => {
  const ingest = await startService('ingest', { natsUrl: setup.nats.url });
  cleanups.push(ingest.stop);
  const headers = { 'content-type': 'application/json' };
  const request = { method: 'POST', headers, body: '{}' };
  expect((await fetch(`${ingest.url}/v1/hooks/github`, request)).status).toBe(404);
});
