import { describe, expect, test } from 'vitest';
import { limitHits, startService } from '../support/services.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';
import {
  gateway,
  MESSAGES_PER_SECOND,
  nextAddress,
  open,
  PER_ADDRESS,
  refusal,
  SHED,
  sse,
  system,
  useLimitedSystem,
} from './limits-setup.ts';

/* PROTOCOL.md section 8.2: how many connections there may be, and what one of them may take. */

useLimitedSystem();

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
