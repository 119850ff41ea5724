import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Order } from '../../examples/order-service/order.mjs';
import {
  allOrders,
  LACKS_PYTHON,
  type OrderAnswer,
  type OrderService,
  query,
  send,
  sendUntilAnswered,
  startOrderService,
} from '../support/order-service.ts';
import { startOutboxRelay } from '../support/outbox.ts';
import { LACKS_POSTGRESQL, type Postgresql, startPostgresql } from '../support/postgresql.ts';
import { makeToken, type Service } from '../support/services.ts';
import { type System, startSystem, streamEvents } from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * The order services of `examples` with everything behind them: a database, the relay, ingest and NATS. Whatever is
 * killed, the orders of the databases and the events of the stream agree in the end.
 */

const ROOT = new URL('../..', import.meta.url);

/** What a relay needs. */
const RELAY_SCOPE = 'publish:orders.> history:orders.>';

const ORDER = { customer: 'alice', total: 4200 };
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Of the tests that kill the service. */
const CLIENTS = 6;
const ORDERS_EACH = 25;
const KILLS = 8;
const KILL_WITHIN_MS = 30;

/** How long the relay may take to bring everything into the stream. */
const ARRIVAL_MS = 60_000;

/** Several processes start in each test, and wait for each other. */
vi.setConfig({ testTimeout: 2 * ARRIVAL_MS, hookTimeout: ARRIVAL_MS });

let system: System;
let postgresql: Postgresql | undefined;
let folder: string;
/** All that have orders; the stream is one. */
const databases: string[] = [];
const relays: Service<'relay'>[] = [];
const services: OrderService[] = [];

beforeAll(async () => {
  system = await startSystem();
  folder = await mkdtemp(join(tmpdir(), 'tidemark-orders-'));
  if (!LACKS_POSTGRESQL) postgresql = await startPostgresql();
});
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.kill('SIGKILL')));
  await Promise.all(relays.splice(0).map((relay) => relay.stop()));
});
afterAll(async () => {
  await Promise.all([system?.stop(), postgresql?.stop()]);
  await rm(folder, { recursive: true, force: true });
});

/** A database of its own. */
async function newDatabase(kind: 'PostgreSQL' | 'SQLite'): Promise<string> {
  const name = `orders_${databases.length}`;
  const server = postgresql?.url ?? '';
  if (kind === 'PostgreSQL') await query(server, `CREATE DATABASE ${name}`);
  const url =
    kind === 'SQLite' ? `sqlite:${join(folder, name)}` : server.replace('/postgres?', `/${name}?`);
  databases.push(url);
  return url;
}

/** The tables have to be there. */
async function startRelay(url: string): Promise<Service<'relay'>> {
  const token = await makeToken(RELAY_SCOPE, 'order-service');
  const relay = await startOutboxRelay({ url }, system, { TIDEMARK_RELAY_TOKEN: token });
  relays.push(relay);
  return relay;
}

async function start(language: 'Node' | 'Python', url: string): Promise<OrderService> {
  const service = await startOrderService(language, url);
  services.push(service);
  return service;
}

/** Waits until the relays have brought everything away, and compares what there is with what there should be. */
async function expectAgreement(): Promise<void> {
  for (const url of databases) {
    const waiting = async () =>
      (await query(url, 'SELECT position, failure FROM tidemark_outbox')).length;
    await until(async () => (await waiting()) === 0, 'an empty outbox', ARRIVAL_MS);
  }
  const orders = (await Promise.all(databases.map(allOrders))).flat();
  const wanted = orders.map((order) => [`orders.${order.id}`, changesOf(order)]);
  const found: Record<string, { type: string; data: unknown }[]> = {};
  for (const { topic, type, data } of await streamEvents(system.nats.url)) {
    found[topic] = [...(found[topic] ?? []), { type, data }];
  }
  expect(found).toEqual(Object.fromEntries(wanted));
}

/** The events that an order has to have, in order. */
function changesOf(order: Order) {
  const placed = { ...order, version: 1, status: 'placed' };
  const changes = [{ type: 'order.placed', data: placed }];
  return order.version === 1 ? changes : [...changes, { type: 'order.paid', data: order }];
}

/** A client that places and pays orders, and repeats each request until it is answered. */
async function buy(url: string, name: string, onAnswer: (answer: OrderAnswer) => void) {
  for (let n = 0; n < ORDERS_EACH; n++) {
    const key = `${name} ${n}`;
    const placed = await sendUntilAnswered(url, '/orders', key, { ...ORDER, customer: name });
    onAnswer(placed);
    onAnswer(await sendUntilAnswered(url, `/orders/${placed.body.id}/pay`, key));
  }
}

describe.each([
  { title: 'on PostgreSQL (needs PostgreSQL)', kind: 'PostgreSQL', isAbsent: LACKS_POSTGRESQL },
  { title: 'on SQLite', kind: 'SQLite', isAbsent: false },
] as const)('order service $title', ({ kind, isAbsent }) => {
  test.skipIf(isAbsent)(
    'ingest is away: orders are taken; their events arrive afterwards, in order',
    async () => {
      const url = await newDatabase(kind);
      const service = await start('Node', url);
      await startRelay(url);
      await system.ingest.kill('SIGKILL');
      const answers: OrderAnswer[] = [];
      await buy(service.url, 'away', (answer) => answers.push(answer));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 201]));
      await system.ingest.restart();
      await expectAgreement();
    },
  );

  test.skipIf(isAbsent)(
    'service, relay and ingest are killed again and again while clients order: orders and events agree, each request has one effect',
    async () => {
      const url = await newDatabase(kind);
      const service = await start('Node', url);
      const relay = await startRelay(url);
      const answers: OrderAnswer[] = [];
      const clients = Promise.all(
        Array.from({ length: CLIENTS }, (_, n) =>
          buy(service.url, `client ${n}`, (answer) => answers.push(answer)),
        ),
      );
      for (let kill = 1; kill <= KILLS; kill++) {
        const enough = (kill * CLIENTS * ORDERS_EACH) / (KILLS + 1);
        await until(() => answers.length >= enough, 'answers', ARRIVAL_MS);
        await sleep(Math.random() * KILL_WITHIN_MS);
        const other = kill % 2 === 0 ? relay : system.ingest;
        await Promise.all([service.kill('SIGKILL'), other.kill('SIGKILL')]);
        await Promise.all([service.restart(), other.restart()]);
      }
      await clients;
      const orders = await allOrders(url);
      const paid = answers.filter(({ body }) => body.status === 'paid').map(({ body }) => body);
      const byId = (list: Order[]) => list.toSorted((left, right) => (left.id < right.id ? -1 : 1));
      expect(byId(paid)).toEqual(byId(orders));
      expect(orders).toHaveLength(CLIENTS * ORDERS_EACH);
      await expectAgreement();
    },
  );
});

describe.skipIf(LACKS_POSTGRESQL)('order service (needs PostgreSQL)', () => {
  test('orders that are rolled back at COMMIT among others: have no event', async () => {
    const url = await newDatabase('PostgreSQL');
    const service = await start('Node', url);
    await query(
      url,
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'not this one'; END $$;
       CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW WHEN (NEW.customer = 'mallory') EXECUTE FUNCTION refuse();`,
    );
    await startRelay(url);
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        send(service.url, '/orders', {
          key: `${n}`,
          body: { ...ORDER, customer: n % 2 === 0 ? 'mallory' : 'alice' },
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(
      answers.map((_, n) => (n % 2 === 0 ? 500 : 201)),
    );
    await expectAgreement();
    expect(await allOrders(url)).toHaveLength(20);
    const events = await streamEvents(system.nats.url);
    expect(events.some(({ data }) => (data as Order).customer === 'mallory')).toBe(false);
  });

  test('PostgreSQL is killed while clients order: orders and events agree', async () => {
    const url = await newDatabase('PostgreSQL');
    const service = await start('Node', url);
    await startRelay(url);
    const answers: OrderAnswer[] = [];
    const clients = Promise.all(
      Array.from({ length: CLIENTS }, (_, n) =>
        buy(service.url, `client ${n}`, (answer) => answers.push(answer)),
      ),
    );
    for (const enough of [20, 100, 200]) {
      await until(() => answers.length >= enough, 'answers', ARRIVAL_MS);
      await postgresql?.restart();
    }
    await clients;
    expect(await allOrders(url)).toHaveLength(CLIENTS * ORDERS_EACH);
    await expectAgreement();
  });

  test('request with a trace: its event in the stream has the trace', async () => {
    const url = await newDatabase('PostgreSQL');
    const service = await start('Node', url);
    await startRelay(url);
    const headers = { traceparent: TRACEPARENT };
    const { body } = await send(service.url, '/orders', { key: 'traced', body: ORDER, headers });
    await expectAgreement();
    const events = await streamEvents(system.nats.url);
    const [event] = events.filter(({ topic }) => topic === `orders.${body.id}`);
    expect(event).toMatchObject({ source: '/order-service', traceparent: TRACEPARENT });
  });

  test.skipIf(LACKS_PYTHON)(
    'a service in Node and one in Python (needs Python with pip) on one table, both killed: the events of each order arrive in order',
    async () => {
      const url = await newDatabase('PostgreSQL');
      const node = await start('Node', url);
      const python = await start('Python', url);
      await startRelay(url);
      // Each order is placed at one service and paid at the other.
      let answered = 0;
      const orders = Array.from({ length: 60 }, async (_, n) => {
        const [first, second] = n % 2 === 0 ? [node, python] : [python, node];
        const body = { ...ORDER, customer: n % 2 === 0 ? 'node' : 'python' };
        const placed = await sendUntilAnswered(first.url, '/orders', `${n}`, body);
        answered++;
        const paid = await sendUntilAnswered(second.url, `/orders/${placed.body.id}/pay`, `${n}`);
        answered++;
        return [placed.status, paid.status, paid.body.version];
      });
      await until(() => answered > 20, 'answers', ARRIVAL_MS);
      await node.restart();
      await until(() => answered > 60, 'answers', ARRIVAL_MS);
      await python.restart();
      expect(await Promise.all(orders)).toEqual(Array(60).fill([201, 200, 2]));
      await expectAgreement();
    },
  );
});

describe('npm run example:order-service', () => {
  const DATABASES = [
    { title: 'with PostgreSQL (needs PostgreSQL)', options: [], isAbsent: LACKS_POSTGRESQL },
    { title: 'with SQLite', options: ['--sqlite'], isAbsent: false },
  ];
  for (const { title, options, isAbsent } of DATABASES) {
    test.skipIf(isAbsent)(
      `${title}: an order arrives in the stream, and is still there after a second start`,
      async () => {
        const own = await mkdtemp(join(folder, 'example-'));
        const first = await runExample(own, options);
        const placed = await send(first.url, '/orders', { key: 'example', body: ORDER });
        expect(placed.status).toBe(201);
        const topic = `orders.${placed.body.id}`;
        const stored = async () =>
          (await streamEvents(system.nats.url)).filter((event) => event.topic === topic).length;
        await until(async () => (await stored()) > 0, 'the event', ARRIVAL_MS);
        expect(await first.stop()).toBe(0);

        const second = await runExample(own, options);
        const repeated = await send(second.url, '/orders', { key: 'example', body: ORDER });
        expect(repeated.body).toEqual(placed.body);
        const path = `/orders/${placed.body.id}/pay`;
        await send(second.url, path, { key: 'example' });
        await until(async () => (await stored()) === 2, 'the second event', ARRIVAL_MS);
        expect(await second.stop()).toBe(0);
      },
    );
  }
});

/** Runs the example with a folder for its data, until it prints its address. */
async function runExample(data: string, options: readonly string[]) {
  const { ingest, gateway, replay } = system;
  const child = spawn(
    process.execPath,
    ['examples/order-service/main.mjs', '--port', '0', ...options],
    {
      cwd: ROOT,
      env: {
        ...process.env,
        TIDEMARK_DATA: data,
        INGEST_URL: ingest.url,
        GATEWAY_URL: gateway.url,
        REPLAY_URL: replay.url,
        TOKEN: await makeToken(RELAY_SCOPE),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const urlIn = () => /listens on (\S+), with/.exec(output)?.[1];
  await until(
    () => urlIn() !== undefined || child.exitCode !== null,
    () => output,
    ARRIVAL_MS,
  );
  return {
    url: urlIn() ?? '',
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      await ended;
      process.off('exit', killAtExit);
      return child.exitCode;
    },
  };
}
