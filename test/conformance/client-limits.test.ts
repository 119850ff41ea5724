import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  limitHeld,
  limitHits,
  makeToken,
  type Service,
  startService,
} from '../support/services.ts';
import {
  appendDirectly,
  metric,
  numbered,
  type System,
  series,
  startSystem,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/* PROTOCOL.md section 8.2: what one address and one user may take, and what happens beyond it. */

const PER_ADDRESS = 6;
const PER_USER = 4;
const MESSAGES_PER_SECOND = 50;
const MESSAGE_BYTES_PER_SECOND = 200_000;
const PAGE_BYTES = 32 * 1024 ** 2;

/** What each counts, in bytes (PROTOCOL.md section 8.2). */
const BYTES_AT_LEAST = {
  subscriptions: 24 * 1024,
  'WebSocket handshakes': 8 * 1024,
  'SSE handshakes': 15 * 1024,
};

/** More than the buffers of a socket take. */
const LARGE = series('limits.large', 1, 150).map((one) => ({ ...one, data: 'x'.repeat(250_000) }));

let system: System;
/** Allows few handshakes; the tests go to it from addresses of their own. */
let gateway: Service;
beforeAll(async () => {
  system = await startSystem({
    env: {
      TIDEMARK_REPLAY_READS_PER_USER_MAX: '2',
      TIDEMARK_REPLAY_EXPORTS_MAX: '4',
      TIDEMARK_REPLAY_PAGE_BYTES_MAX: String(PAGE_BYTES),
    },
  });
  gateway = await system.startGateway({
    TIDEMARK_TRUSTED_PROXIES: '127.0.0.1',
    TIDEMARK_GATEWAY_CONNECTIONS_PER_ADDRESS_MAX: String(PER_ADDRESS),
    TIDEMARK_GATEWAY_CONNECTIONS_PER_USER_MAX: String(PER_USER),
    TIDEMARK_GATEWAY_HANDSHAKES_PER_SECOND_MAX: '10',
    TIDEMARK_GATEWAY_CONNECTION_PATTERNS_MAX: '5',
    TIDEMARK_GATEWAY_PATTERN_BYTES_PER_USER_MAX: '5000',
    TIDEMARK_GATEWAY_WILDCARDS_PER_USER_MAX: '8',
    TIDEMARK_GATEWAY_MESSAGES_PER_SECOND_MAX: String(MESSAGES_PER_SECOND),
    TIDEMARK_GATEWAY_PUBLISHES_PER_SECOND_MAX: '20',
    TIDEMARK_GATEWAY_CATCH_UPS_PER_USER_MAX: '2',
    TIDEMARK_GATEWAY_TICKETS_PER_SECOND_MAX: '3',
    TIDEMARK_GATEWAY_MESSAGE_BYTES_PER_SECOND_MAX: String(MESSAGE_BYTES_PER_SECOND),
    TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '10',
  });
});
afterAll(() => system.stop());

/** Each test comes from a network of its own. */
let networks = 0;
function nextAddress(): string {
  return `203.0.113.${++networks}`;
}

interface From {
  readonly address: string;
  readonly user?: string;
}

async function open({ address, user = 'alice' }: From): Promise<WebSocketClient> {
  const token = await makeToken('subscribe:> publish:> history:>', user);
  return new WebSocketClient(gateway.url, { token, headers: { 'x-forwarded-for': address } });
}

/** The status and headers that a handshake is refused with. */
async function refusal(from: From): Promise<unknown> {
  const client = await open(from);
  return new Promise((resolve, reject) => {
    client.socket.once('open', () => reject(new Error('The handshake was accepted.')));
    client.socket.once('unexpected-response', async (_request, response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      client.socket.terminate();
      const { code, retryable } = JSON.parse(text);
      resolve([response.statusCode, response.headers['retry-after'], code, retryable]);
    });
  });
}

async function sse({ address, user = 'alice' }: From, query = 'topics=a') {
  const token = await makeToken('subscribe:>', user);
  return fetch(`${gateway.url}/v1/sse?${query}`, {
    headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': address },
  });
}

const SHED =
  /^retry: \d+\nevent: error\ndata: \{"code":"limit_exceeded".*"retryable":true.*\}\n\n$/;

describe('connections', () => {
  test('connections of an address: one too many: 429, over SSE an error; others are served', async () => {
    const address = nextAddress();
    const users = Array.from({ length: PER_ADDRESS }, (_, index) => `user ${index}`);
    const clients = await Promise.all(users.map((user) => open({ address, user })));
    for (const client of clients) await client.first('welcome');
    const before = await limitHits(gateway, 'connections_per_address');
    expect(await refusal({ address, user: 'one more' })).toEqual([
      429,
      '1',
      'limit_exceeded',
      true,
    ]);
    const shed = await sse({ address, user: 'one more' });
    expect(shed.status).toBe(200);
    expect(await shed.text()).toMatch(SHED);
    expect(await limitHits(gateway, 'connections_per_address')).toBe(before + 2);

    // A client that keeps the id of each block still has one: that which it came with.
    const returning = await sse({ address, user: 'one more' }, 'topics=a&lastEventId=log.1-7');
    expect(await returning.text()).toMatch(/^retry: \d+\nid: log\.1-7\nevent: error\n/);

    const other = await open({ address: nextAddress(), user: 'one more' });
    await other.first('welcome');
    await clients.pop()?.close();
    const next = await open({ address, user: 'one more' });
    await next.first('welcome');
    for (const client of [...clients, other, next]) await client.close();
  });

  test('connections of a user: one too many, from anywhere: 429; an ended one makes room', async () => {
    const user = 'busy';
    const streams = await Promise.all([0, 1].map(() => sse({ address: nextAddress(), user })));
    const clients = await Promise.all([0, 1].map(() => open({ address: nextAddress(), user })));
    for (const client of clients) await client.first('welcome');
    expect(await refusal({ address: nextAddress(), user })).toEqual([
      429,
      '1',
      'limit_exceeded',
      true,
    ]);
    expect(await limitHits(gateway, 'connections_per_user')).toBeGreaterThan(0);
    await streams[0]?.body?.cancel();
    await until(async () => {
      const client = await open({ address: nextAddress(), user });
      await Promise.race([client.first('welcome'), client.closed]);
      const { opened } = client;
      if (opened) await client.close();
      return opened;
    });
    await streams[1]?.body?.cancel();
    for (const client of clients) await client.close();
  });

  test('handshakes of an address: too many in a second: 429 whatever the token, then served', async () => {
    const address = nextAddress();
    const headers = { 'x-forwarded-for': address, authorization: 'Bearer rubbish' };
    const url = `${gateway.url}/v1/sse?topics=a`;
    const statuses = await Promise.all(
      Array.from({ length: 30 }, async () => {
        const response = await fetch(url, { headers });
        const text = await response.text();
        return SHED.test(text) ? 'shed' : response.status;
      }),
    );
    expect(statuses.filter((status) => status === 401)).toHaveLength(10);
    expect(statuses.filter((status) => status === 'shed')).toHaveLength(20);
    expect(await refusal({ address })).toEqual([429, '1', 'limit_exceeded', true]);
    expect(await limitHits(gateway, 'handshakes_per_second')).toBeGreaterThanOrEqual(21);
    await until(async () => (await fetch(url, { headers })).status === 401);
    const client = await open({ address: nextAddress() });
    await client.first('welcome');
    await client.close();
  });

  test('heads of an address: share the rate of its handshakes', async () => {
    const address = nextAddress();
    const headers = { 'x-forwarded-for': address, authorization: 'Bearer rubbish' };
    const statuses = await Promise.all(
      Array.from({ length: 30 }, async () => {
        return (await fetch(`${gateway.url}/v1/head`, { headers })).status;
      }),
    );
    expect(statuses.filter((status) => status === 401)).toHaveLength(10);
    expect(statuses.filter((status) => status === 429)).toHaveLength(20);
    expect(await refusal({ address })).toEqual([429, '1', 'limit_exceeded', true]);
  });

  test('forwarded address: sent by a client that is no proxy: not believed', async () => {
    const strict = await startService('gateway', {
      natsUrl: system.nats.url,
      env: { TIDEMARK_GATEWAY_CONNECTIONS_PER_ADDRESS_MAX: '1' },
    });
    const { token } = system;
    const first = new WebSocketClient(strict.url, {
      token,
      headers: { 'x-forwarded-for': '1.1.1.1' },
    });
    await first.first('welcome');
    const second = new WebSocketClient(strict.url, {
      token,
      headers: { 'x-forwarded-for': '2.2.2.2' },
    });
    await second.closed;
    expect(second.opened).toBe(false);
    await first.close();
    await strict.stop();
  });
});

describe('one connection', () => {
  test('patterns of a connection: one too many: refused, an unsubscribe makes room', async () => {
    const client = await open({ address: nextAddress() });
    client.send({ type: 'subscribe', id: '1', topics: ['a', 'b', 'c'] });
    client.send({ type: 'subscribe', id: '2', topics: ['d', 'e', 'f'] });
    expect(await client.first('error', '2')).toMatchObject({ code: 'limit_exceeded' });
    client.send({ type: 'unsubscribe', id: '1' });
    client.send({ type: 'subscribe', id: '3', topics: ['d', 'e', 'f'] });
    await client.first('live', '3');
    expect(await limitHits(gateway, 'connection_patterns')).toBe(1);
    await client.close();
  });

  test('messages of a connection: too fast: refused by id; when it goes on: closed with 4007', async () => {
    const client = await open({ address: nextAddress() });
    await client.first('welcome');
    for (let n = 0; n < MESSAGES_PER_SECOND; n++) client.send({ type: 'ping' });
    // On a busy machine time passes meanwhile, and with it some are allowed.
    for (let n = 0; n < 20; n++) client.send({ type: 'unsubscribe', id: 'too many' });
    const refused = { code: 'limit_exceeded', retryable: true, retryAfterSeconds: 1 };
    await until(() => client.all('error', 'too many').length === 20);
    expect(client.all('error', 'too many')).toContainEqual(expect.objectContaining(refused));
    await until(async () => {
      client.send({ type: 'unsubscribe', id: 'later' });
      return client.all('error', 'later').some(({ code }) => code === 'not_found');
    });
    for (let n = 0; n < 1000; n++) client.send({ type: 'ping' });
    expect((await client.closed).code).toBe(4007);
    expect(await limitHits(gateway, 'messages_per_second')).toBeGreaterThan(100);
  });

  test('pings of a connection: a flood of them: closed with 4007', async () => {
    const client = await open({ address: nextAddress() });
    await client.first('welcome');
    for (let n = 0; n < 1000; n++) client.socket.ping();
    expect((await client.closed).code).toBe(4007);
  });

  test('messages: too large: closed with 1009 and counted', async () => {
    const client = await open({ address: nextAddress() });
    await client.first('welcome');
    client.send('x'.repeat(600_000));
    expect((await client.closed).code).toBe(1009);
    expect(await limitHits(gateway, 'message_bytes')).toBe(1);
  });
});

describe('one user', () => {
  test('bytes of messages of a user, on all connections: more are read later, and nobody else waits', async () => {
    const user = 'talker';
    const talkers = await Promise.all([0, 1].map(() => open({ address: nextAddress(), user })));
    const other = await open({ address: nextAddress(), user: 'listener' });
    for (const client of [...talkers, other]) await client.first('welcome');
    const startMs = performance.now();
    const message = { type: 'nothing', text: 'x'.repeat(MESSAGE_BYTES_PER_SECOND / 4) };
    for (const client of talkers) for (let n = 0; n < 5; n++) client.send(message);
    await until(() => talkers.some((client) => client.all('error').length > 1));
    other.send({ type: 'ping' });
    await other.first('pong');
    expect(performance.now() - startMs).toBeLessThan(1000);
    await until(() => talkers.every((client) => client.all('error').length === 5));
    // The first second's bytes are free, and the last messages were read already when their bytes counted.
    expect(performance.now() - startMs).toBeGreaterThan(750);
    expect(await limitHits(gateway, 'message_bytes_per_second')).toBeGreaterThan(1);
    for (const client of [...talkers, other]) await client.close();
  });

  const nextOf = {
    subscriptions: (user: string) => subscribeOnce(user),
    'WebSocket handshakes': async (user: string) => {
      const client = await open({ address: anyAddress(), user });
      await client.first('welcome');
      await client.close();
    },
    'SSE handshakes': async (user: string) => {
      const answer = await sse({ address: anyAddress(), user });
      expect(answer.status).toBe(200);
      await answer.body?.cancel();
    },
  };
  let addresses = 0;
  function anyAddress(): string {
    addresses++;
    return `198.18.${addresses >> 8}.${addresses & 255}`;
  }
  let subscriber: WebSocketClient | undefined;
  let subscribed = 0;
  async function subscribeOnce(user: string): Promise<void> {
    subscriber ??= await open({ address: nextAddress(), user });
    const id = `again-${subscribed++}`;
    const after = new Date(Date.now() - 1000).toISOString();
    subscriber.send({ type: 'subscribe', id, topics: ['limits.x'], after });
    await subscriber.first('live', id);
    subscriber.send({ type: 'unsubscribe', id });
    await subscriber.first('unsubscribed', id);
  }

  test.each(Object.entries(nextOf))(
    '%s, again and again: those beyond the rate of bytes of the user wait, and nobody else',
    async (name, next) => {
      const other = await open({ address: nextAddress(), user: 'calm' });
      await other.first('welcome');
      const hits = await limitHits(gateway, 'message_bytes_per_second');
      const startMs = performance.now();
      let count = 0;
      while (performance.now() - startMs < 3000) {
        await next(`asks for ${name}`);
        count++;
      }
      // The first second's bytes are free.
      const bytes = count * BYTES_AT_LEAST[name as keyof typeof nextOf];
      expect(bytes).toBeLessThan(1.5 * 4 * MESSAGE_BYTES_PER_SECOND);
      expect(bytes).toBeGreaterThan(MESSAGE_BYTES_PER_SECOND);
      expect(await limitHits(gateway, 'message_bytes_per_second')).toBeGreaterThan(hits);
      const pingMs = performance.now();
      other.send({ type: 'ping' });
      await other.first('pong');
      expect(performance.now() - pingMs).toBeLessThan(500);
      await other.close();
      await subscriber?.close();
      subscriber = undefined;
    },
  );

  test('patterns of a user: too much memory on all connections: refused; over SSE an error; an end makes room', async () => {
    const user = 'greedy';
    const [first, second, other] = await Promise.all(
      [user, user, 'modest'].map((each) => open({ address: nextAddress(), user: each })),
    );
    const five = (mark: string) => Array.from({ length: 5 }, (_, index) => `p.${mark}.${index}`);
    first?.send({ type: 'subscribe', id: '1', topics: five('a') });
    await first?.first('live', '1');
    second?.send({ type: 'subscribe', id: '2', topics: five('b') });
    expect(await second?.first('error', '2')).toMatchObject({ code: 'limit_exceeded' });
    const shed = await sse({ address: nextAddress(), user }, `topics=${five('c').join(',')}`);
    expect(await shed.text()).toContain('"code":"limit_exceeded"');
    expect(await limitHits(gateway, 'pattern_bytes_per_user')).toBe(2);
    other?.send({ type: 'subscribe', id: '3', topics: five('d') });
    await other?.first('live', '3');
    expect(await limitHeld(gateway, 'pattern_bytes')).toBeGreaterThan(5000);
    await first?.close();
    await until(async () => {
      second?.send({ type: 'subscribe', id: '4', topics: five('b') });
      return (second?.all('live', '4').length ?? 0) > 0;
    });
    await Promise.all([second?.close(), other?.close()]);
  });

  test('wildcards of a user: more than three in a pattern count, and too many are refused', async () => {
    const client = await open({ address: nextAddress(), user: 'starry' });
    client.send({ type: 'subscribe', id: '1', topics: ['w.*.*.*.*', '*.*.*.*.w', 'w.*.*.*'] });
    await client.first('live', '1');
    client.send({ type: 'subscribe', id: '2', topics: ['x.*.*.*.*'] });
    expect(await client.first('error', '2')).toMatchObject({ code: 'limit_exceeded' });
    client.send({ type: 'unsubscribe', id: '1' });
    client.send({ type: 'subscribe', id: '3', topics: ['x.*.*.*.*'] });
    await client.first('live', '3');
    expect(await limitHits(gateway, 'wildcards_per_user')).toBe(1);
    await client.close();
  });

  test('publishes of a user over WebSocket: too many in a second: refused, not stored', async () => {
    const [client, other] = await Promise.all([
      open({ address: nextAddress(), user: 'writer' }),
      open({ address: nextAddress(), user: 'another' }),
    ]);
    await Promise.all([client.first('welcome'), other.first('welcome')]);
    for (const event of series('limits.rate', 1, 40)) {
      client.send({ type: 'publish', id: event.id, event });
    }
    await until(() => client.all('published').length + client.all('error').length === 40);
    expect(client.all('published').length).toBe(20);
    for (const error of client.all('error')) {
      expect(error).toMatchObject({ code: 'limit_exceeded', retryAfterSeconds: 1 });
    }
    other.send({ type: 'publish', id: 'o', event: numbered('limits.rate', 100) });
    await other.first('published');
    await Promise.all([client.close(), other.close()]);
  });

  test('publishes of a user at ingest: too many in a second: 429 with Retry-After', async () => {
    const ingest = await startService('ingest', {
      natsUrl: system.nats.url,
      env: {
        TIDEMARK_INGEST_PUBLISHES_PER_SECOND_MAX: '10',
        TIDEMARK_INGEST_BATCH_EVENTS_MAX: '10',
      },
    });
    const post = async (first: number, user: string) =>
      fetch(`${ingest.url}/v1/events`, {
        method: 'POST',
        headers: {
          'content-type': 'application/cloudevents-batch+json',
          authorization: `Bearer ${await makeToken('publish:>', user)}`,
        },
        body: JSON.stringify(
          series('limits.batch', first, first + 5).map((one) => ({ specversion: '1.0', ...one })),
        ),
      });
    expect((await post(1, 'batcher')).status).toBe(201);
    const refused = await post(11, 'batcher');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await refused.json()).toMatchObject({ code: 'limit_exceeded', retryable: true });
    expect((await post(21, 'other')).status).toBe(201);
    expect(await limitHits(ingest, 'publishes_per_second')).toBe(1);
    await until(async () => (await post(11, 'batcher')).status === 201);
    await ingest.stop();
  });

  test('tickets of a user: too many in a second, from anywhere: 429; others get theirs', async () => {
    const ask = async (user: string) => {
      const authorization = `Bearer ${await makeToken('subscribe:a', user)}`;
      const headers = { authorization, 'x-forwarded-for': nextAddress() };
      return fetch(`${gateway.url}/v1/tickets`, { method: 'POST', headers });
    };
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask('collector')));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 429, 429]);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get('retry-after')).toBe('1');
    expect((await ask('other')).status).toBe(201);
    expect(await limitHits(gateway, 'tickets_per_second')).toBe(2);
  });

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
