import type { ConnectionInfo, ConnectionList, Stats } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freeze } from '../support/freeze.ts';
import { makeToken, type Service } from '../support/services.ts';
import { appendDirectly, numbered, type System, startSystem, withNats } from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/* PROTOCOL.md section 13.5: any gateway lists the connections of all gateways. */

let system: System;
let admin: string;

beforeAll(async () => {
  system = await startSystem({
    gateways: 2,
    // The slow ones are not to be closed, however long this machine takes.
    env: {
      TIDEMARK_GATEWAY_STALL_TIMEOUT_MS: '600000',
      TIDEMARK_GATEWAY_IDLE_TIMEOUT_MS: '600000',
    },
  });
  admin = await makeToken('admin', 'operator');
  for (const gateway of system.gateways) await untilGateways(gateway, 2);
});

afterAll(() => system.stop());

async function ask({ url }: Service, query = ''): Promise<Response> {
  const headers = { authorization: `Bearer ${admin}` };
  return fetch(`${url}/v1/admin/connections${query}`, { headers });
}

async function list(gateway: Service, query = ''): Promise<ConnectionList> {
  const response = await ask(gateway, query);
  expect(response.status).toBe(200);
  return (await response.json()) as ConnectionList;
}

/** Waits until a gateway knows so many, itself among them. */
async function untilGateways({ url }: Service, count: number): Promise<void> {
  const headers = { authorization: `Bearer ${admin}` };
  await until(async () => {
    const response = await fetch(`${url}/v1/admin/stats`, { headers });
    return ((await response.json()) as Stats).together.gateways === count;
  }, `${count} gateways`);
}

async function listAll(gateway: Service, query: string): Promise<ConnectionInfo[]> {
  const items: ConnectionInfo[] = [];
  for (let next: string | null = ''; next !== null; ) {
    const page: ConnectionList = await list(gateway, `?${query}&after=${next}`);
    expect(page.complete).toBe(true);
    items.push(...page.items);
    next = page.next;
  }
  return items;
}

async function openMany(count: number, gateway: Service, token: string) {
  const clients = Array.from({ length: count }, () => new WebSocketClient(gateway.url, { token }));
  for (const client of clients) await client.first('welcome');
  return clients;
}

describe('connections', () => {
  test('300 on two gateways, page after page: each one once, at either gateway', async () => {
    const [first, second] = system.gateways as [Service, Service];
    const token = await makeToken('subscribe:>', 'many');
    const clients = [
      ...(await openMany(150, first, token)),
      ...(await openMany(150, second, token)),
    ];
    const opened = clients.map((client) => client.all('welcome')[0]?.connection).sort();
    for (const gateway of system.gateways) {
      const items = await listAll(gateway, 'limit=70&sub=many');
      expect(items.map(({ connection }) => connection)).toEqual(opened);
      expect(new Set(items.map((item) => item.gateway)).size).toBe(2);
    }
    const { gateways } = await list(first, '?limit=1');
    expect(gateways.map(({ connections, answered }) => ({ connections, answered }))).toEqual([
      { connections: 150, answered: true },
      { connections: 150, answered: true },
    ]);
    const [{ gateway = '' } = {}] = gateways;
    const ofOne = await listAll(first, `gateway=${gateway}&limit=1000`);
    expect(ofOne).toHaveLength(150);
    expect(ofOne.every((item) => item.gateway === gateway)).toBe(true);
    await Promise.all(clients.map((client) => client.close()));
    await until(async () => (await list(first)).items.length === 0, 'all have gone');
  });

  test('one connection: who, from where, since when, and where its subscriptions are', async () => {
    const { cursor } = await system.publisher.store(numbered('info.a', 1));
    const client = system.open({ gateway: 1 });
    const { connection } = await client.first('welcome');
    client.send({ type: 'subscribe', id: 'all', topics: ['info.>'], types: ['info.*'] });
    await client.first('live', 'all');
    const listener = system.listen('sse', { topics: 'info.*' });
    await until(() => listener.live);
    const items = await listAll(system.gateway, 'sub=tester');
    expect(items).toHaveLength(2);
    expect(items.find((item) => item.connection === connection)).toMatchObject({
      ...{ sub: 'tester', transport: 'websocket', address: '127.0.0.1', cursor, behind: 0 },
      ...{ unsentBytes: 0, fellBehind: 0, slow: null, delivered: 0 },
      subscriptions: [
        {
          ...{ id: 'all', topics: ['info.>'], types: ['info.*'], deliver: 'all' },
          ...{ state: 'live', cursor, behind: 0 },
        },
      ],
    });
    const [{ connectedAt = '', tokenExpiresAt = '' } = {}] = items;
    expect(Math.abs(Date.now() - Date.parse(connectedAt))).toBeLessThan(60_000);
    expect(Date.parse(tokenExpiresAt)).toBeGreaterThan(Date.now());
    const bySse = await listAll(system.gateway, 'transport=sse');
    expect(bySse).toMatchObject([{ transport: 'sse', subscriptions: [{ topics: ['info.*'] }] }]);
    await Promise.all([client.close(), listener.stop()]);
  });

  test('a client that does not read: is slow, with unsent bytes and why; nobody else is', async () => {
    const [quick, slow] = [system.open(), system.open({ gateway: 1 })];
    for (const client of [quick, slow]) {
      client.send({ type: 'subscribe', id: 's', topics: ['slow.>'] });
      await client.first('live');
    }
    slow.socket.pause();
    const data = 'x'.repeat(10_000);
    const events = Array.from({ length: 2500 }, (_, n) => ({ ...numbered('slow.a', n), data }));
    await appendDirectly(system.nats.url, events);
    let items: ConnectionInfo[] = [];
    await until(async () => {
      items = await listAll(system.gateway, 'slow=true');
      return items.length === 1 && items[0]?.slow?.reason === 'socket-full';
    }, 'one is slow');
    const [
      { connection, unsentBytes = 0, behind = 0, fellBehind, slow: why, subscriptions = [] } = {},
    ] = items;
    expect(connection).toBe(slow.all('welcome')[0]?.connection);
    expect(unsentBytes).toBeGreaterThan(10_000);
    expect(behind).toBeGreaterThan(100);
    expect(fellBehind).toBeGreaterThan(0);
    expect(why?.sinceMs).toBeGreaterThanOrEqual(0);
    expect(subscriptions[0]).toMatchObject({ state: 'catching-up' });
    slow.socket.resume();
    await until(() => slow.all('event').length === events.length, 'it reads');
    await until(async () => (await listAll(system.gateway, 'slow=true')).length === 0, 'none');
    await Promise.all([quick.close(), slow.close()]);
  });

  test('a gateway that hangs: is told as one that did not answer, and the list as incomplete', async () => {
    const [first, second] = system.gateways as [Service, Service];
    const client = system.open({ gateway: 0 });
    await client.first('welcome');
    await freeze(second.pid);
    try {
      const { items, gateways, complete, next } = await list(first);
      expect({ complete, next }).toEqual({ complete: false, next: null });
      expect(items).toHaveLength(1);
      expect(gateways.map(({ answered }) => answered).sort()).toEqual([false, true]);
    } finally {
      process.kill(second.pid, 'SIGCONT');
    }
    await until(async () => (await list(first)).complete, 'it answers');
    await client.close();
  });

  test('a gateway that is killed: did not answer, and is then gone', async () => {
    const another = await system.startGateway();
    await untilGateways(system.gateway, 3);
    await another.kill('SIGKILL');
    expect(await list(system.gateway)).toMatchObject({ complete: false });
    await until(
      async () => {
        const { gateways, complete } = await list(system.gateway);
        return complete && gateways.length === 2;
      },
      'it is gone',
      30_000,
    );
  }, 60_000);

  test('a gateway that has just started: asks all of them, although it knows none', async () => {
    const another = await system.startGateway();
    const { gateways, complete } = await list(another);
    expect(complete).toBe(true);
    expect(gateways).toHaveLength(3);
    await another.kill();
    const young = await system.startGateway();
    expect((await ask(young, '?gateway=nobody')).status).toBe(404);
    await young.kill();
  });

  test('garbage and forged answers at NATS: change nothing', async () => {
    const client = system.open();
    await client.first('welcome');
    await withNats(system.nats.url, async (operator) => {
      const forged = operator.subscribe('tidemark.control.connections', {
        callback: (_, { reply = '' }) => {
          operator.publish(reply, 'no JSON');
          operator.publish(reply, '{"gateway":"x"}');
          operator.publish(reply, `{"gateway":"a b","connections":1,"items":[],"end":null}`);
        },
      });
      operator.publish('tidemark.control.connections', 'no JSON', {
        reply: 'tidemark.control.answers.x',
      });
      // An answer may not be asked for to any other place.
      const query = JSON.stringify({ after: '', limit: 1, bytesMax: 1000 });
      let answers = 0;
      const elsewhere = operator.subscribe('tidemark.elsewhere', {
        callback: () => {
          answers++;
        },
      });
      operator.publish('tidemark.control.connections', query, { reply: 'tidemark.elsewhere' });
      operator.publish('tidemark.control.connections', query);
      await operator.flush();
      const { items, gateways, complete } = await list(system.gateway);
      expect({ complete, gateways: gateways.length, items: items.length }).toEqual({
        ...{ complete: true, gateways: 2, items: 1 },
      });
      expect(answers).toBe(0);
      forged.unsubscribe();
      elsewhere.unsubscribe();
    });
    await client.close();
  });

  test.each([
    '?limit=0',
    '?limit=1001',
    '?limit=many',
    '?transport=carrier-pigeon',
    '?slow=maybe',
    '?after=%00',
    '?sub=a&sub=b',
    '?unknown=1',
    `?gateway=${'x'.repeat(100)}`,
  ])('a wrong query (%s): 400', async (query) => {
    const response = await ask(system.gateway, query);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'invalid_query' });
  });

  test('a gateway that there is not: 404; a token without admin: 403', async () => {
    expect((await ask(system.gateway, '?gateway=nobody')).status).toBe(404);
    const headers = { authorization: `Bearer ${system.token}` };
    const { status } = await fetch(`${system.gateway.url}/v1/admin/connections`, { headers });
    expect(status).toBe(403);
  });

  test('NATS is away: 503', async () => {
    await system.nats.kill();
    await until(async () => (await ask(system.gateway)).status === 503, '503');
    await system.nats.restart();
    await until(async () => (await ask(system.gateway)).status === 200, '200');
  });
});
