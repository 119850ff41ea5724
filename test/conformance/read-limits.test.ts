import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { limitHeld, limitHits, makeToken } from '../support/services.ts';
import { appendDirectly, metric, series, streamState } from '../support/system.ts';
import { until } from '../support/until.ts';
import {
  gateway,
  nextAddress,
  open,
  PAGE_BYTES,
  sse,
  system,
  useLimitedSystem,
} from './limits-setup.ts';

/* PROTOCOL.md section 8.2: what one user, and all together, may read and not take. */

/** More than the buffers of a socket take. */
const LARGE = series('limits.large', 1, 150).map((one) => ({ ...one, data: 'x'.repeat(250_000) }));

useLimitedSystem();

describe('reads of one user', () => {
  test('catch-ups of a user: too many at once: refused; over SSE an error and an end', async () => {
    await appendDirectly(system.nats.url, LARGE);
    const user = 'reader';
    const slow = await Promise.all([0, 1].map(() => openStalled(user, nextAddress())));
    const client = await open({ address: nextAddress(), user });
    const subscribe = (id: string) =>
      client.send({ type: 'subscribe', id, topics: ['limits.*'], after: 'earliest' });
    await until(async () => (await gaugeBehind()) >= 2);
    subscribe('third');
    expect(await client.first('error', 'third')).toMatchObject({ code: 'limit_exceeded' });
    const shed = await sse({ address: nextAddress(), user }, 'topics=limits.*&after=earliest');
    expect(await shed.text()).toMatch(/event: error\ndata: \{"code":"limit_exceeded"/);
    client.send({ type: 'subscribe', id: 'latest', topics: ['limits.*'], after: 'latest' });
    await client.first('live', 'latest');
    for (const socket of slow) socket.destroy();
    await until(async () => (await gaugeBehind()) === 0);
    client.send({ type: 'unsubscribe', id: 'latest' });
    subscribe('again');
    await client.first('live', 'again');
    expect(await limitHits(gateway, 'catch_ups_per_user')).toBe(2);
    await client.close();
  });

  test('history of a user: too many reads at once: 429 with Retry-After; others are served', async () => {
    const stored = await streamState(system.nats.url);
    await until(async () => (await metric(system.replay, 'projection_position')) >= stored.last);
    const exports = await Promise.all(
      [0, 1].map(() => openHistory('historian', 'application/x-ndjson')),
    );
    const refused = await ask('historian');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await refused.json()).toMatchObject({ code: 'limit_exceeded' });
    expect((await ask('somebody')).status).toBe(200);
    for (const socket of exports) socket.destroy();
    await until(async () => (await ask('historian')).status === 200);
    expect(await limitHits(system.replay, 'reads_per_user')).toBeGreaterThanOrEqual(1);
  });

  test('pages that a user does not take: count as reads until they are gone', async () => {
    const pages = await Promise.all([0, 1].map(() => openHistory('hoarder', 'application/json')));
    await until(async () => (await ask('hoarder')).status === 429);
    expect((await ask('somebody')).status).toBe(200);
    for (const socket of pages) socket.destroy();
    await until(async () => (await ask('hoarder')).status === 200);
  });

  test('pages that many users do not take: their bytes have a limit, pages of others get shorter', async () => {
    const page = async (user: string) => {
      const response = await ask(user, 'topics=limits.large&limit=40');
      const { items, complete } = (await response.json()) as { items?: []; complete?: boolean };
      return { status: response.status, items: items?.length ?? 0, complete };
    };
    const whole = await page('somebody');
    const held = () => limitHeld(system.replay, 'page_bytes');
    await until(async () => (await held()) === 0);
    const pages: Socket[] = [];
    for (const user of ['one', 'two', 'three']) {
      pages.push(await openHistory(`hoarder ${user}`, 'application/json'));
    }
    expect(await held()).toBeGreaterThan(PAGE_BYTES / 2);
    expect(await held()).toBeLessThanOrEqual(PAGE_BYTES);
    const short = await page('somebody');
    expect(short).toMatchObject({ status: 200, complete: false });
    expect(short.items).toBeGreaterThan(0);
    expect(short.items).toBeLessThan(whole.items);
    for (const socket of pages) socket.destroy();
    await until(async () => (await held()) === 0);
    expect(await page('somebody')).toEqual(whole);
  });
});

async function ask(user: string, query = 'limit=1'): Promise<Response> {
  const headers = { authorization: `Bearer ${await makeToken('history:>', user)}` };
  return fetch(`${system.replay.url}/v1/events?${query}`, { headers });
}

async function gaugeBehind(): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return Number(/tidemark_gateway_connections_behind\{.*\} (\d+)/.exec(text)?.[1]);
}

/** Asks for everything and takes none of it. */
async function openStalled(user: string, address: string): Promise<Socket> {
  const token = await makeToken('subscribe:>', user);
  return request(gateway.port, [
    'GET /v1/sse?topics=limits.*&after=earliest HTTP/1.1',
    `X-Forwarded-For: ${address}`,
    `Authorization: Bearer ${token}`,
  ]);
}

/** Asks for much, and takes none of it but the beginning. */
async function openHistory(user: string, accept: string): Promise<Socket> {
  const token = await makeToken('history:>', user);
  const socket = request(system.replay.port, [
    'GET /v1/events?topics=limits.large HTTP/1.1',
    `Accept: ${accept}`,
    `Authorization: Bearer ${token}`,
  ]);
  // Before it, somebody else's request might take the place.
  await once(socket, 'readable');
  return socket;
}

function request(port: number, lines: readonly string[]): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.pause();
  socket.write(`${lines.join('\r\n')}\r\nHost: x\r\n\r\n`);
  return socket;
}
