import { signToken } from '@tidemark/auth';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { revokeUser, statusOf, untilRefusedEverywhere } from '../support/access.ts';
import { makeToken, TEST_SECRET } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* PROTOCOL.md sections 8.1 and 13: how long a connection lives, and who can end it. */

const GRACE_MS = 1000;

/** Of a token that is good for a handshake: the claim counts whole seconds and may cut one off. */
const BRIEF_SECONDS = 2;

let system: System;

beforeAll(async () => {
  system = await startSystem({
    gateways: 2,
    env: {
      TIDEMARK_GATEWAY_TOKEN_GRACE_MS: String(GRACE_MS),
      TIDEMARK_GATEWAY_HEARTBEAT_MS: '400',
    },
  });
});

afterAll(() => system.stop());

function openAs(token: string, gateway = 0) {
  return system.open({ token, gateway });
}

async function callAdmin(path: string, body: unknown, { method = 'POST', token = '' } = {}) {
  return fetch(`${system.gateway.url}/v1/admin/${path}`, {
    method,
    headers: { authorization: `Bearer ${token || (await makeToken('admin', 'operator'))}` },
    body: JSON.stringify(body),
  });
}

/** The last `error` that an SSE stream ends with. */
async function lastWords(token: string): Promise<{ code: string }> {
  const url = `${system.gateway.url}/v1/sse?topics=a`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const text = await response.text();
  return JSON.parse(/event: error\ndata: (.*)\n\n$/.exec(text)?.[1] ?? '{}');
}

describe('token: its end', () => {
  test('token: expired: the connection ends with 4004 after the grace, and not before', async () => {
    const startMs = Date.now();
    const client = openAs(await makeToken('subscribe:a', 'brief', BRIEF_SECONDS));
    const { code } = await client.closed;
    expect(code).toBe(4004);
    expect(Date.now() - startMs).toBeGreaterThan(GRACE_MS);
  });

  test('token: expired: an SSE stream ends with token_expired', async () => {
    expect((await lastWords(await makeToken('subscribe:a', 'brief', BRIEF_SECONDS))).code).toBe(
      'token_expired',
    );
  });

  test('authenticate: newer token within the grace: the connection stays', async () => {
    const client = openAs(await makeToken('subscribe:a', 'renewing', BRIEF_SECONDS));
    await client.first('welcome');
    await new Promise((resolve) => setTimeout(resolve, BRIEF_SECONDS * 1000 + 100));
    client.send({ type: 'authenticate', token: await makeToken('subscribe:a', 'renewing', 60) });
    await client.first('authenticated');
    client.send({ type: 'subscribe', id: 'a', topics: ['a'] });
    await client.first('subscribed', 'a');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    client.send({ type: 'ping' });
    await client.first('pong');
    await client.close();
  });

  test('authenticate: narrower scopes: uncovered subscriptions end with an error each', async () => {
    const client = openAs(await makeToken('subscribe:a.> subscribe:b.> subscribe:c', 'narrowed'));
    for (const id of ['a', 'b', 'c']) {
      client.send({ type: 'subscribe', id, topics: [id === 'c' ? 'c' : `${id}.*`] });
      await client.first('live', id);
    }
    client.send({ type: 'authenticate', token: await makeToken('subscribe:c', 'narrowed') });
    await client.first('authenticated');
    await until(() => client.all('error').length === 2);
    expect(client.all('error').map(({ id, code }) => [id, code])).toEqual([
      ['a', 'forbidden'],
      ['b', 'forbidden'],
    ]);
    for (const topic of ['a.1', 'b.1', 'c']) {
      await system.publisher.store({ id: topic, source: '/narrow', type: topic });
    }
    await client.first('event');
    expect(client.all('event').map(({ event }) => event.topic)).toEqual(['c']);
    await client.close();
  });

  test("authenticate: another user's token: refused, the old one still holds", async () => {
    const client = openAs(await makeToken('subscribe:a', 'first'));
    await client.first('welcome');
    client.send({ type: 'authenticate', token: await makeToken('subscribe:>', 'second') });
    expect((await client.first('error')).code).toBe('forbidden');
    client.send({ type: 'subscribe', id: 'a', topics: ['a'] });
    await client.first('subscribed', 'a');
    await client.close();
  });
});

describe('revocation', () => {
  const everything = 'subscribe:> publish:> history:>';

  const expectRefusedEverywhere = (token: string) => untilRefusedEverywhere(system, token);

  test('by sub: connections on every gateway end with 4501, every service refuses', async () => {
    const token = await makeToken(everything, 'mallory');
    const clients = [openAs(token, 0), openAs(token, 1)];
    const other = openAs(await makeToken(everything, 'alice'));
    await Promise.all([...clients, other].map((client) => client.first('welcome')));
    const stream = lastWords(token);
    expect((await callAdmin('revocations', { sub: 'mallory' })).status).toBe(204);
    for (const client of clients) expect((await client.closed).code).toBe(4501);
    expect((await stream).code).toBe('unauthenticated');
    await expectRefusedEverywhere(token);
    await expectRefusedEverywhere(await makeToken(everything, 'mallory'));
    other.send({ type: 'ping' });
    await other.first('pong');
    await other.close();
  });

  test('while hundreds of handshakes are under way: none of them outlives it', async () => {
    const token = await makeToken(everything, 'racer');
    const clients = Array.from({ length: 400 }, () => openAs(token));
    await until(() => clients.some(({ opened }) => opened));
    expect((await callAdmin('revocations', { sub: 'racer' })).status).toBe(204);
    await expectRefusedEverywhere(token);
    await until(() => clients.every(({ socket }) => socket.readyState === socket.CLOSED));
    const codes = await Promise.all(clients.map(async ({ closed }) => (await closed).code));
    // What was not open yet was refused, which `ws` calls an abnormal closure.
    expect([...new Set(codes)].sort()).toEqual(expect.arrayContaining([4501]));
  });

  test('by jti: only that token; and a client that goes on talking is not heard', async () => {
    const [revoked, kept] = [
      await makeToken(everything, 'jane'),
      await makeToken(everything, 'jane'),
    ];
    const { jti } = JSON.parse(Buffer.from(revoked.split('.')[1] ?? '', 'base64url').toString());
    const client = openAs(revoked);
    await client.first('welcome');
    // The peer does not answer the close, as one would that wants to stay.
    client.socket.once('message', () => {});
    const socket = (client.socket as unknown as { _socket: { pause(): void; resume(): void } })
      ._socket;
    socket.pause();
    expect((await callAdmin('revocations', { jti })).status).toBe(204);
    await expectRefusedEverywhere(revoked);
    client.send({ type: 'publish', id: 'p', event: { type: 'revoked.publish', data: 1 } });
    await new Promise((resolve) => setTimeout(resolve, 300));
    socket.resume();
    expect((await client.closed).code).toBe(4501);
    const history = `${system.replay.url}/v1/events?topics=revoked.publish`;
    const headers = { authorization: `Bearer ${kept}` };
    expect(await (await fetch(history, { headers })).json()).toMatchObject({ items: [] });
  });

  test('by sub and time: tokens of before are refused, later ones accepted', async () => {
    const sign = (nowMs: number) =>
      signToken({
        secret: TEST_SECRET,
        subject: 'carol',
        scope: everything,
        ttlSeconds: 3600,
        nowMs,
      });
    const [old, young] = [await sign(Date.now() - 60_000), await sign(Date.now())];
    const issuedBefore = new Date(Date.now() - 30_000).toISOString();
    expect((await callAdmin('revocations', { sub: 'carol', issuedBefore })).status).toBe(204);
    await expectRefusedEverywhere(old);
    expect(await statusOf(system, system.gateway.url, young)).toBe(200);
    // An earlier time must not let in again what a later one keeps out.
    const earlier = new Date(Date.now() - 120_000).toISOString();
    expect((await callAdmin('revocations', { sub: 'carol', issuedBefore: earlier })).status).toBe(
      204,
    );
    // Revocations arrive in order: whoever has heard of a later one has heard of that.
    await revokeUser(system, 'somebody later');
    await expectRefusedEverywhere(old);
  });

  test('taken back: the token is accepted again', async () => {
    const token = await makeToken(everything, 'pardoned');
    await callAdmin('revocations', { sub: 'pardoned' });
    await expectRefusedEverywhere(token);
    const answer = await callAdmin('revocations', { sub: 'pardoned' }, { method: 'DELETE' });
    expect(answer.status).toBe(204);
    await until(async () => (await statusOf(system, system.gateway.url, token)) === 200);
  });

  test('restart of NATS and of every service: still revoked', async () => {
    const token = await makeToken(everything, 'persistent');
    await callAdmin('revocations', { sub: 'persistent' });
    await expectRefusedEverywhere(token);
    await system.nats.kill();
    await system.nats.restart();
    await Promise.all(
      [...system.gateways, system.ingest, system.replay].map((service) => service.restart()),
    );
    await expectRefusedEverywhere(token);
    const kept = await makeToken(everything, 'alice');
    for (const { url } of [...system.gateways, system.ingest, system.replay]) {
      expect(await statusOf(system, url, kept)).toBeLessThan(300);
    }
  });

  test('NATS away: the call fails, what is known still holds', async () => {
    const token = await makeToken(everything, 'known');
    await callAdmin('revocations', { sub: 'known' });
    await expectRefusedEverywhere(token);
    await system.nats.kill();
    expect((await callAdmin('revocations', { sub: 'late' })).status).toBe(503);
    expect((await callAdmin('disconnect', { sub: 'late' })).status).toBe(503);
    expect(await statusOf(system, system.replay.url, token)).toBe(401);
    await system.nats.restart();
    await until(async () => (await callAdmin('revocations', { sub: 'late' })).status === 204);
    await expectRefusedEverywhere(await makeToken(everything, 'late'));
  });
});

describe('disconnect', () => {
  test('by sub: connections of every gateway end reconnectably, and may come back', async () => {
    const token = await makeToken('subscribe:a', 'dora');
    const clients = [openAs(token, 0), openAs(token, 1)];
    await Promise.all(clients.map((client) => client.first('welcome')));
    const stream = lastWords(token);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await callAdmin('disconnect', { sub: 'dora' })).status).toBe(202);
    for (const client of clients) expect((await client.closed).code).toBe(4006);
    expect((await stream).code).toBe('unavailable');
    const again = openAs(token);
    await again.first('welcome');
    await again.close();
  });

  test('by connection, asked of another gateway: that one ends and no other', async () => {
    const token = await makeToken('subscribe:a', 'erin');
    const [one, two] = [openAs(token, 1), openAs(token, 1)];
    const { connection } = await one.first('welcome');
    await two.first('welcome');
    expect((await callAdmin('disconnect', { connection })).status).toBe(202);
    expect((await one.closed).code).toBe(4006);
    two.send({ type: 'ping' });
    await two.first('pong');
    await two.close();
  });
});

describe('admin calls', () => {
  test('without scope admin: forbidden, and nothing happens', async () => {
    const token = await makeToken(everything('x'), 'x');
    for (const path of ['revocations', 'disconnect']) {
      const answer = await callAdmin(path, { sub: 'alice' }, { token });
      expect(answer.status).toBe(403);
    }
    const alice = await makeToken('subscribe:>', 'alice');
    expect(await statusOf(system, system.gateway.url, alice)).toBe(200);
  });

  test.each([
    ['revocations', {}],
    ['revocations', { sub: '' }],
    ['revocations', { sub: 'a', jti: 'b' }],
    ['revocations', { sub: 'a', issuedBefore: 'yesterday' }],
    ['revocations', { jti: 7 }],
    ['revocations', null],
    ['revocations', { sub: 'x'.repeat(257) }],
    ['disconnect', {}],
    ['disconnect', { sub: ['a'] }],
    ['disconnect', { sub: 'a', connection: 'b' }],
  ])('%s with %j: 400', async (path, body) => {
    expect((await callAdmin(path, body)).status).toBe(400);
  });
});

function everything(topic: string): string {
  return `subscribe:${topic} publish:${topic} history:${topic}`;
}
