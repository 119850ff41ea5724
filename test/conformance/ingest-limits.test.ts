import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { limitHits, makeToken, type Service, startService } from '../support/services.ts';
import { numbered } from '../support/system.ts';
import { until } from '../support/until.ts';

/* PROTOCOL.md section 8.2: what ingest takes of one user and of all. */

const BODY_BYTES = 1024 * 1024;
const SOCKETS = 30;

let nats: NatsServer;
let replay: Service;
let ingest: Service;
beforeAll(async () => {
  nats = await startNatsServer();
  const natsUrl = nats.url;
  replay = await startService('replay', { natsUrl });
  ingest = await startService('ingest', {
    natsUrl,
    env: {
      TIDEMARK_INGEST_BODIES_BYTES_PER_USER_MAX: String(2 * BODY_BYTES),
      TIDEMARK_INGEST_BODIES_BYTES_MAX: String(3 * BODY_BYTES),
      TIDEMARK_INGEST_SOCKETS_MAX: String(SOCKETS),
      TIDEMARK_INGEST_SOCKETS_PER_ADDRESS_MAX: String(SOCKETS / 3),
      TIDEMARK_TRUSTED_PROXIES: '127.0.0.1',
    },
  });
});
afterAll(async () => {
  await ingest?.stop();
  await replay?.stop();
  await nats?.stop();
});

async function publish(user: string): Promise<Response> {
  const headers = {
    authorization: `Bearer ${await makeToken('publish:>', user)}`,
    'content-type': 'application/json',
  };
  const body = JSON.stringify({ ...numbered('limits.room', 1), id: crypto.randomUUID() });
  return fetch(`${ingest.url}/v1/events`, { method: 'POST', headers, body });
}

async function heldBytes(): Promise<number> {
  const text = await (await fetch(`${ingest.url}/metrics`)).text();
  return Number(/tidemark_limits_held\{.*"bodies_bytes".*\} (\d+)/.exec(text)?.[1]);
}

/**
 * A request that says it has the largest body, or not how large it is, and does not send it. Ingest
 * has reserved the bytes when this returns.
 */
async function hold(user: string, size = `Content-Length: ${BODY_BYTES}`): Promise<Socket> {
  const token = await makeToken('publish:>', user);
  const socket = connect(ingest.port, '127.0.0.1').on('error', () => {});
  await once(socket, 'connect');
  const head = ['POST /v1/events HTTP/1.1', 'Host: a', `Authorization: Bearer ${token}`, size];
  const before = await heldBytes();
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  await until(async () => (await heldBytes()) === before + BODY_BYTES);
  return socket;
}

test('too much for ingest: a body, a batch, an event: 413, each counted by its name', async () => {
  const headers = { authorization: `Bearer ${await makeToken('publish:>')}` };
  const event = (n: number, bytes: number) => ({
    ...numbered('limits.size', n),
    data: 'x'.repeat(bytes),
  });
  const batch = Array.from({ length: 1001 }, (_, n) => ({ specversion: '1.0', ...event(n, 1) }));
  const post = async (type: string, content: unknown) => {
    const typed = { ...headers, 'content-type': type };
    const body = JSON.stringify(content);
    const answer = await fetch(`${ingest.url}/v1/events`, {
      method: 'POST',
      headers: typed,
      body,
    });
    expect(await answer.json()).toMatchObject({ code: 'too_large', retryable: false });
    return answer.status;
  };
  expect(await post('application/json', event(1, 1_200_000))).toBe(413);
  expect(await post('application/cloudevents-batch+json', batch)).toBe(413);
  expect(await post('application/json', event(1, 300_000))).toBe(413);
  for (const limit of ['request_bytes', 'batch_events', 'event_bytes']) {
    expect([limit, await limitHits(ingest, limit)]).toEqual([limit, 1]);
  }
});

test('bodies of a user: too many bytes at once: 429; others have room, and so has the user later', async () => {
  const held = [await hold('hoarder'), await hold('hoarder', 'Transfer-Encoding: chunked')];
  const refused = await publish('hoarder');
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
  expect(await refused.json()).toMatchObject({ code: 'limit_exceeded', retryable: true });
  expect((await publish('other')).status).toBe(201);
  expect(await limitHits(ingest, 'bodies_bytes_per_user')).toBe(1);

  held.push(await hold('another'));
  expect((await publish('other')).status).toBe(429);
  expect(await limitHits(ingest, 'bodies_bytes')).toBe(1);
  for (const socket of held) socket.destroy();
  for (const user of ['hoarder', 'other']) {
    await until(async () => (await publish(user)).status === 201);
  }
});

test('sockets: more than ingest takes: closed at once and counted', async () => {
  const sockets = Array.from({ length: 2 * SOCKETS }, () => {
    return connect(ingest.port, '127.0.0.1').on('error', () => {});
  });
  let closed = 0;
  for (const socket of sockets) socket.resume().once('close', () => closed++);
  await until(() => closed >= SOCKETS);
  for (const socket of sockets) socket.destroy();
  await until(async () => (await publish('anybody')).status === 201);
  expect(await limitHits(ingest, 'sockets')).toBeGreaterThanOrEqual(SOCKETS);
});

// Linux has all of 127.0.0.0/8 without being asked.
test.runIf(process.platform === 'linux')(
  'sockets of an address: too many that say nothing: closed at once; other addresses are served',
  async () => {
    const sockets = Array.from({ length: SOCKETS - 5 }, () => {
      const from = { port: ingest.port, host: '127.0.0.1', localAddress: '127.0.0.2' };
      return connect(from).on('error', () => {});
    });
    let closed = 0;
    for (const socket of sockets) socket.resume().once('close', () => closed++);
    await until(() => closed >= sockets.length - SOCKETS / 3);
    expect((await publish('anybody')).status).toBe(201);
    expect(closed).toBe(sockets.length - SOCKETS / 3);
    expect(await limitHits(ingest, 'sockets_per_address')).toBe(closed);
    for (const socket of sockets) socket.destroy();
  },
);
