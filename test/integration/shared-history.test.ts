import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { limitHits, makeToken, type Service } from '../support/services.ts';
import {
  metric,
  OutsideClient,
  range,
  startReplay,
  until,
  untilProjected,
} from './replay-setup.ts';

/* What one user does at replay costs the others next to nothing (PROTOCOL.md section 8.2). */

const EVENTS = 30_000;
const READS_MAX = 64;
const TEXT = 'x'.repeat(300);
/** Looks at every event and finds none. */
const COSTLY = '/v1/events?type=a&source=/b';
const CHEAP = '/v1/events?limit=1';
/** Some times what a costly answer takes beside the attacks, and a part of what it took without turns. */
const SOON_MS = 500;

let nats: NatsServer;
let client: OutsideClient;
let replay: Service;

beforeAll(async () => {
  nats = await startNatsServer();
  client = await OutsideClient.connect(nats.url);
  replay = await startReplay(nats.url, {
    TIDEMARK_REPLAY_READS_PER_USER_MAX: String(READS_MAX),
    TIDEMARK_HTTP_PROGRESS_MS: '500',
    TIDEMARK_HTTP_PROGRESS_BYTES_MIN: '100000',
  });
  await client.publish(range(1, EVENTS), (number) => {
    const name = number % 2 === 0 ? 'a' : 'b';
    return { topic: `t.${number % 50}`, text: TEXT, type: name, source: `/${name}` };
  });
  await untilProjected(replay, EVENTS);
}, 60_000);

afterAll(async () => {
  await replay?.stop();
  await client?.close();
  await nats?.stop();
});

async function send(user: string, path: string, accept = 'application/json'): Promise<Socket> {
  const token = await makeToken('history:>', user);
  const socket = connect(replay.port, '127.0.0.1').on('error', () => {});
  const head = [
    `GET ${path} HTTP/1.1`,
    'Host: a',
    `Authorization: Bearer ${token}`,
    `Accept: ${accept}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  return socket;
}

/** The status of an answer, and how long it took. */
async function ask(user: string, path: string, accept = 'application/json') {
  const headers = { authorization: `Bearer ${await makeToken('history:>', user)}`, accept };
  const startMs = performance.now();
  const answer = await fetch(`${replay.url}${path}`, { headers });
  await answer.text();
  return { status: answer.status, ms: performance.now() - startMs };
}

test('history requests that a user sends and leaves, again and again: others are served at once', async () => {
  const leave = async () => {
    const socket = await send('leaver', COSTLY);
    await once(socket, 'connect');
    // The request arrives, and then the end.
    setTimeout(() => socket.destroy(), 5);
  };
  for (let n = 0; n < 20; n++) await Promise.all(range(1, 50).map(leave));
  for (const path of [CHEAP, COSTLY, '/v1/topics']) {
    const { status, ms } = await ask('victim', path);
    expect([path, status]).toEqual([path, 200]);
    expect([path, ms < SOON_MS]).toEqual([path, true]);
  }
  // Nobody works for those who are gone.
  await until(async () => (await metric(replay, 'history_steps_waiting')) === 0);
  await until(async () => (await ask('leaver', CHEAP)).status === 200);
});

test('costly requests of a user, as many as it may have: the page, topics and export of another come first', async () => {
  let on = true;
  const busy = range(1, READS_MAX).map(async () => {
    while (on) await ask('scanner', COSTLY);
  });
  await sleep(300);
  const times: number[] = [];
  for (let n = 0; n < 5; n++) {
    for (const [path, accept] of [
      [COSTLY, 'application/json'],
      ['/v1/topics', 'application/json'],
      [COSTLY, 'application/x-ndjson'],
    ] as const) {
      const { status, ms } = await ask('victim', path, accept);
      expect(status).toBe(200);
      times.push(ms);
    }
  }
  on = false;
  await Promise.all(busy);
  expect(times.reduce((sum, ms) => sum + ms) / times.length).toBeLessThan(SOON_MS);
});

test('exports that two users do not take: others have room; the slow ones are cut off', async () => {
  const ndjson = 'application/x-ndjson';
  const sockets: Socket[] = [];
  for (const user of ['hoarder-1', 'hoarder-2']) {
    for (let n = 0; n < 16; n++) {
      const socket = await send(user, '/v1/events', ndjson);
      await once(socket, 'readable');
      sockets.push(socket);
    }
  }
  expect(await metric(replay, 'history_exports')).toBeLessThanOrEqual(8);
  expect(await limitHits(replay, 'exports_per_user')).toBeGreaterThanOrEqual(24);
  expect(await ask('victim', CHEAP, ndjson)).toMatchObject({ status: 200 });
  // They take a little of it, so that their sockets are not idle.
  const drip = setInterval(() => {
    for (const socket of sockets) socket.read(100);
  }, 50);
  await until(async () => (await metric(replay, 'history_exports')) === 0);
  clearInterval(drip);
  expect(await limitHits(replay, 'answer_progress')).toBe(8);
  for (const socket of sockets) socket.destroy();
});
