import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import {
  limitHeld,
  limitHits,
  makeToken,
  type Service,
  startService,
} from '../support/services.ts';
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
      TIDEMARK_INGEST_BODIES_BYTES_MAX: String(4 * BODY_BYTES),
      TIDEMARK_HTTP_PROGRESS_MS: '2000',
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

const heldBytes = () => limitHeld(ingest, 'bodies_bytes');

/** A request that lacks the last byte of the largest body. Ingest has what was sent when this returns. */
async function hold(user: string, size = `Content-Length: ${BODY_BYTES}`): Promise<Socket> {
  const socket = await declare(user, size);
  const before = await heldBytes();
  const chunked = size.startsWith('Transfer');
  socket.write(chunked ? `${(BODY_BYTES - 1).toString(16)}\r\n` : '');
  socket.write(Buffer.alloc(BODY_BYTES - 1, ' '));
  await until(async () => (await heldBytes()) === before + BODY_BYTES);
  return socket;
}

/** A request that says how large its body is, and sends nothing of it. */
async function declare(user: string, size = `Content-Length: ${BODY_BYTES}`, scope = 'publish:>') {
  const token = await makeToken(scope, user);
  const socket = connect(ingest.port, '127.0.0.1').on('error', () => {});
  await once(socket, 'connect');
  const head = ['POST /v1/events HTTP/1.1', 'Host: a', `Authorization: Bearer ${token}`, size];
  socket.write(`${head.join('\r\n')}\r\nContent-Type: application/json\r\n\r\n`);
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
  // Half of what is left, and no more.
  const third = await declare('third');
  third.write(Buffer.alloc(BODY_BYTES - 1, ' '));
  const [answer] = await once(third, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1\.1 429 /);
  third.destroy();
  expect(await limitHits(ingest, 'bodies_bytes')).toBe(1);
  expect((await publish('newcomer')).status).toBe(201);
  for (const socket of held) socket.destroy();
  for (const user of ['hoarder', 'other']) {
    await until(async () => (await publish(user)).status === 201);
  }
  await until(async () => (await heldBytes()) === 0);
});

test('bodies that users declare and do not send: take no room; slow ones are refused in time', async () => {
  const before = await limitHits(ingest, 'body_progress');
  const sockets: Socket[] = [];
  for (const user of ['a', 'b', 'c', 'd']) {
    for (let n = 0; n < 2; n++) sockets.push(await declare(`declarer-${user}`));
  }
  await sleep(100);
  for (const user of ['declarer-a', 'newcomer']) {
    const startMs = performance.now();
    expect((await publish(user)).status).toBe(201);
    expect(performance.now() - startMs).toBeLessThan(500);
  }
  const drip = setInterval(() => {
    for (const socket of sockets) socket.write(' ');
  }, 20);
  const answers = await Promise.all(
    sockets.map(async (socket) => {
      const [head] = await once(socket, 'data');
      return String(head).split('\r\n')[0];
    }),
  );
  clearInterval(drip);
  expect(new Set(answers)).toEqual(new Set(['HTTP/1.1 429 Too Many Requests']));
  expect(await limitHits(ingest, 'body_progress')).toBe(before + sockets.length);
  expect(await heldBytes()).toBe(0);
  for (const socket of sockets) socket.destroy();
});

test('token that permits no publish: refused before the body is sent', async () => {
  const socket = await declare('reader', undefined, 'subscribe:> history:>');
  const [head] = await once(socket, 'data');
  expect(String(head)).toMatch(/^HTTP\/1\.1 403 [\s\S]*"code":"forbidden"/);
  socket.destroy();
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
