import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { revokeUser } from '../support/access.ts';
import { keepSecret, makeToken } from '../support/services.ts';
import { type System, startSystem, withNats } from '../support/system.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/* PROTOCOL.md section 8.3. */

const BUCKET = 'KV_TIDEMARK_TICKETS';
const NANOSECONDS_PER_SECOND = 1_000_000_000;

let system: System;

beforeAll(async () => {
  system = await startSystem({ gateways: 2 });
});

afterAll(() => system.stop());

async function issue(token: string, base = system.gateway.url) {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${base}/v1/tickets`, { method: 'POST', headers });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

async function issued(scope = 'subscribe:a', subject = 'alice'): Promise<string> {
  const { body } = await issue(await makeToken(scope, subject));
  return keepSecret(body.ticket ?? '');
}

/** The status of a stream, which is then given up. */
async function stream(query: string, base = system.gateway.url): Promise<number> {
  const response = await fetch(`${base}/v1/sse?${query}`);
  await response.body?.cancel();
  return response.status;
}

/** The configuration of the bucket of tickets, and a way to change it. */
async function withBucket(
  use: (
    config: StreamConfig,
    update: (changes: Partial<StreamConfig>) => Promise<unknown>,
  ) => Promise<void>,
): Promise<void> {
  await withNats(system.nats.url, async (connection) => {
    const { streams } = await jetstreamManager(connection);
    const { config } = await streams.info(BUCKET);
    await use(config, (changes) => streams.update(BUCKET, changes));
  });
}

function open(ticket: string, gateway = 0) {
  const { url } = system.gateways[gateway] ?? system.gateway;
  return new WebSocketClient(url, { query: `?ticket=${ticket}` });
}

describe('ticket', () => {
  test('issued: 43 characters, valid for 30 s', async () => {
    const before = Date.now();
    const { status, body } = await issue(await makeToken('subscribe:a'));
    expect(status).toBe(201);
    expect(body.ticket).toMatch(/^[A-Za-z0-9_-]{43}$/);
    const restMs = Date.parse(body.expiresAt ?? '') - before;
    expect(restMs).toBeGreaterThan(29_000);
    expect(restMs).toBeLessThan(32_000);
  });

  test('used at another gateway: once for a stream, and not again on either', async () => {
    const ticket = await issued();
    const [, second] = system.gateways;
    expect(await stream(`topics=a&ticket=${ticket}`, second?.url)).toBe(200);
    for (const { url } of system.gateways) {
      expect(await stream(`topics=a&ticket=${ticket}`, url)).toBe(401);
    }
  });

  test('used by many at the same moment: one gets in', async () => {
    const ticket = await issued();
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        stream(`topics=a&ticket=${ticket}`, system.gateways[n % 2]?.url),
      ),
    );
    expect(answers.filter((status) => status === 200)).toHaveLength(1);
    expect(answers.filter((status) => status === 401)).toHaveLength(11);
  });

  test("WebSocket: opens with the token's permissions, no more", async () => {
    const client = open(await issued('subscribe:a'), 1);
    client.send({ type: 'ping' });
    await client.first('welcome');
    client.send({ type: 'subscribe', id: 'a', topics: ['a'] });
    await client.first('subscribed', 'a');
    client.send({ type: 'subscribe', id: 'b', topics: ['b'] });
    expect((await client.first('error', 'b')).code).toBe('forbidden');
    await client.close();
  });

  test("the connection ends with the token's expiry, not with the ticket's", async () => {
    const gateway = await system.startGateway({
      TIDEMARK_GATEWAY_TOKEN_GRACE_MS: '0',
      TIDEMARK_GATEWAY_HEARTBEAT_MS: '200',
    });
    const { body } = await issue(await makeToken('subscribe:a', 'brief', 2));
    const client = open(body.ticket ?? '', system.gateways.indexOf(gateway));
    expect((await client.closed).code).toBe(4004);
  });

  test('a request that is refused for another reason: the ticket is used all the same', async () => {
    const ticket = await issued('subscribe:a');
    expect(await stream(`topics=b&ticket=${ticket}`)).toBe(403);
    expect(await stream(`topics=a&ticket=${ticket}`)).toBe(401);
  });

  test('revoked meanwhile: refused', async () => {
    const ticket = await issued('subscribe:a', 'mallory');
    await revokeUser(system, 'mallory');
    expect(await stream(`topics=a&ticket=${ticket}`)).toBe(401);
  });

  test.each(['', 'rubbish', '*', '>', 'a.b', '%00', 'x'.repeat(5000)])(
    'made up (%s): refused',
    async (ticket) => {
      expect(await stream(`topics=a&ticket=${ticket}`)).toBe(401);
    },
  );

  test('in place of a token elsewhere: refused, and not used up', async () => {
    const ticket = await issued('subscribe:a history:a');
    const again = `${system.gateway.url}/v1/tickets?ticket=${ticket}`;
    expect((await fetch(again, { method: 'POST' })).status).toBe(401);
    const history = `${system.replay.url}/v1/events?topics=a&ticket=${ticket}`;
    expect((await fetch(history)).status).toBe(401);
    expect(await stream(`topics=a&ticket=${ticket}`)).toBe(200);
  });

  test('asked for without a token: 401', async () => {
    const response = await fetch(`${system.gateway.url}/v1/tickets`, { method: 'POST' });
    expect(response.status).toBe(401);
  });

  test('logs of every process: hold no ticket', async () => {
    const ticket = await issued();
    await stream(`topics=a&ticket=${ticket}`);
    const client = open(await issued());
    await client.first('welcome');
    await client.close();
    const services = [...system.gateways, system.ingest, system.replay];
    const logged = services.map(({ logs }) => JSON.stringify(logs)).join();
    expect(logged).toContain('connected');
    expect(logged).not.toContain(ticket);
    expect(logged).not.toContain('ticket=');
  });

  test('older than its bucket keeps it, which is 30 s: refused', async () => {
    await withBucket(async (config, update) => {
      expect(config.max_age).toBe(30 * NANOSECONDS_PER_SECOND);
      const [old, young] = [await issued(), await issued()];
      expect(await stream(`topics=a&ticket=${young}`)).toBe(200);
      await update({ max_age: NANOSECONDS_PER_SECOND, duplicate_window: NANOSECONDS_PER_SECOND });
      await sleep(1500);
      expect(await stream(`topics=a&ticket=${old}`)).toBe(401);
      await update(config);
    });
  });

  test('NATS away: 503 at the desk, and a stream is not opened', async () => {
    const token = await makeToken('subscribe:a');
    const ticket = await issued();
    await system.nats.kill();
    expect((await issue(token)).status).toBe(503);
    const answer = await fetch(`${system.gateway.url}/v1/sse?topics=a&ticket=${ticket}`);
    // A native EventSource would not come back after another status.
    expect(answer.status).toBe(200);
    expect(await answer.text()).toMatch(/^retry: \d+\nevent: error\ndata: \{"code":"unavailable"/);
    await system.nats.restart();
    await expect.poll(async () => (await issue(token)).status, { timeout: 10_000 }).toBe(201);
  });
});
