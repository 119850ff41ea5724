import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  allOrders,
  LACKS_PYTHON,
  type Language,
  type OrderService,
  query,
  send,
  startOrderService,
} from '../support/order-service.ts';
import { LACKS_POSTGRESQL, type Postgresql, startPostgresql } from '../support/postgresql.ts';
import { until } from '../support/until.ts';

/*
 * What the order services of `examples` answer, and what each request leaves in the tables. No part of Tidemark runs
 * here: the service needs none.
 */

/** A pool of connections tries again ever more rarely, and a busy machine takes its time. */
const WAIT_MS = 60_000;
vi.setConfig({ testTimeout: 2 * WAIT_MS, hookTimeout: WAIT_MS });

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const ORDER = { customer: 'alice', total: 4200 };

interface Row {
  readonly topic: string;
  readonly type: string;
  readonly source: string;
  /** Text in SQLite. */
  readonly data: unknown;
  readonly attributes: unknown;
}

const rejecting = {
  // At COMMIT, after the order and its event were written.
  postgresql: `
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'not this one'; END $$;
    CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.customer = 'mallory') EXECUTE FUNCTION refuse();`,
  // SQLite has no such trigger, so it comes with the event.
  sqlite: `
    CREATE TRIGGER refused AFTER INSERT ON tidemark_outbox WHEN NEW.data LIKE '%mallory%'
      BEGIN SELECT RAISE(ABORT, 'not this one'); END;`,
};

let postgresql: Postgresql | undefined;
let folder: string;
beforeAll(async () => {
  if (!LACKS_POSTGRESQL) postgresql = await startPostgresql();
  folder = await mkdtemp(join(tmpdir(), 'tidemark-orders-'));
});
afterAll(async () => {
  await postgresql?.stop();
  await rm(folder, { recursive: true, force: true });
});

const SERVICES: readonly {
  name: string;
  language: Language;
  database: 'postgresql' | 'sqlite';
  isAbsent: boolean;
}[] = [
  {
    name: 'in Node (needs PostgreSQL)',
    language: 'Node',
    database: 'postgresql',
    isAbsent: LACKS_POSTGRESQL,
  },
  { name: 'in Node on SQLite', language: 'Node', database: 'sqlite', isAbsent: false },
  {
    name: 'in Python (needs PostgreSQL, and Python with pip)',
    language: 'Python',
    database: 'postgresql',
    isAbsent: LACKS_POSTGRESQL || LACKS_PYTHON,
  },
];

for (const { name, language, database, isAbsent } of SERVICES) {
  describe.skipIf(isAbsent)(`order service ${name}`, () => {
    let url: string;
    let service: OrderService;
    const post = (path: string, key: string, body?: unknown) =>
      send(service.url, path, { key, body });
    const rows = () => query<Row>(url, 'SELECT * FROM tidemark_outbox ORDER BY position');
    const counts = async () => [(await allOrders(url)).length, (await rows()).length];

    beforeAll(async () => {
      url = database === 'sqlite' ? `sqlite:${join(folder, 'orders.db')}` : await newDatabase();
      // The service in Node makes the tables.
      service = await startOrderService('Node', url);
      if (language === 'Python') {
        await service.kill();
        service = await startOrderService(language, url);
      }
      await query(url, rejecting[database]);
    });
    afterAll(() => service?.kill('SIGKILL'));

    async function newDatabase(): Promise<string> {
      const own = `orders_${language.toLowerCase()}`;
      const server = postgresql?.url ?? '';
      await query(server, `CREATE DATABASE ${own}`);
      return server.replace('/postgres?', `/${own}?`);
    }

    test('an order that is placed and paid: is answered, and has an event for each change', async () => {
      const before = (await rows()).length;
      const placed = await send(service.url, '/orders', {
        key: 'first',
        body: ORDER,
        headers: { traceparent: TRACEPARENT },
      });
      const { id } = placed.body;
      expect(placed.status).toBe(201);
      expect(placed.headers.get('location')).toBe(`/orders/${id}`);
      expect(placed.body).toEqual({ id, version: 1, status: 'placed', ...ORDER });
      const paid = await post(`/orders/${id}/pay`, 'first pay');
      expect([paid.status, paid.body]).toEqual([200, { id, version: 2, status: 'paid', ...ORDER }]);
      const found = await fetch(`${service.url}/orders/${id}`);
      expect([found.status, await found.json()]).toEqual([200, paid.body]);

      const added = (await rows()).slice(before).map(readRow);
      const shared = { topic: `orders.${id}`, source: '/order-service' };
      expect(added).toEqual([
        {
          ...shared,
          type: 'order.placed',
          data: placed.body,
          attributes: { traceparent: TRACEPARENT },
        },
        { ...shared, type: 'order.paid', data: paid.body, attributes: null },
      ]);
    });

    test('a traceparent that is none: is of no interest to the order', async () => {
      const request = { key: 'untraced', body: ORDER, headers: { traceparent: '00-0-0-0' } };
      expect((await send(service.url, '/orders', request)).status).toBe(201);
      expect((await rows()).at(-1)?.attributes).toBe(null);
    });

    test('ten requests with one key at once, and later ones: have one effect', async () => {
      const [orders = 0, events = 0] = await counts();
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => post('/orders', 'ten', ORDER)),
      );
      answers.push(await post('/orders', 'ten', ORDER));
      expect(answers.map(({ status }) => status)).toEqual(Array(11).fill(201));
      const [id, ...others] = new Set(answers.map(({ body }) => body.id));
      expect(others).toEqual([]);
      const paid = await Promise.all(
        Array.from({ length: 10 }, () => post(`/orders/${id}/pay`, 'ten pay')),
      );
      expect(paid.map(({ body }) => body.version)).toEqual(Array(10).fill(2));
      expect(await counts()).toEqual([orders + 1, events + 2]);
    });

    test('ten payments with keys of their own at once: one is taken, nine are refused', async () => {
      const { id } = (await post('/orders', 'race', ORDER)).body;
      const before = await counts();
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, n) => post(`/orders/${id}/pay`, `race ${n}`)),
      );
      const refused = answers.filter(({ status }) => status !== 200);
      expect(refused.map(({ status, body }) => [status, body.code])).toEqual(
        Array(9).fill([409, 'already_paid']),
      );
      expect(await counts()).toEqual([before[0], (before[1] ?? 0) + 1]);
    });

    test('what is wrong: is told with a code, and changes nothing', async () => {
      await post('/orders', 'known', ORDER);
      const before = await counts();
      const absent = '00000000-0000-4000-8000-000000000000';
      const order = (more: object) => ({ ...ORDER, ...more });
      const json = (text: string) => text;
      const wrong: [path: string, key: string, body: unknown, status: number, code: string][] = [
        ['/orders', 'known', order({ total: 1 }), 422, 'key_reused'],
        ['/orders', '', ORDER, 400, 'invalid_key'],
        ['/orders', 'k'.repeat(201), ORDER, 400, 'invalid_key'],
        ['/orders', 'new', order({ total: 0 }), 400, 'invalid_order'],
        ['/orders', 'new', order({ total: 1.5 }), 400, 'invalid_order'],
        ['/orders', 'new', order({ total: '7' }), 400, 'invalid_order'],
        ['/orders', 'new', order({ total: 1e9 }), 400, 'invalid_order'],
        ['/orders', 'new', order({ total: true }), 400, 'invalid_order'],
        ['/orders', 'new', order({ customer: '' }), 400, 'invalid_order'],
        ['/orders', 'new', order({ customer: null }), 400, 'invalid_order'],
        ['/orders', 'new', order({ customer: 'a\0b' }), 400, 'invalid_order'],
        ['/orders', 'new', json('{"customer": "\\ud800", "total": 1}'), 400, 'invalid_order'],
        ['/orders', 'new', order({ customer: 'x'.repeat(101) }), 400, 'invalid_order'],
        ['/orders', 'new', json('[1]'), 400, 'invalid_order'],
        ['/orders', 'new', json('{"customer": '), 400, 'invalid_request'],
        ['/orders', 'new', json('['.repeat(10_000)), 400, 'invalid_request'],
        ['/orders', 'new', order({ more: 'x'.repeat(20_000) }), 413, 'too_large'],
        [`/orders/${absent}/pay`, 'new', undefined, 404, 'not_found'],
        ['/orders/%00/pay', 'new', undefined, 404, 'not_found'],
        ["/orders/1'%20OR%20true/pay", 'new', undefined, 404, 'not_found'],
        [`/orders/${absent}/pay`, '', undefined, 400, 'invalid_key'],
        ['/nothing', 'new', ORDER, 404, 'not_found'],
      ];
      for (const [path, key, body, status, code] of wrong) {
        const answer = await post(path, key, body);
        const { message: _, ...error } = answer.body as object & { message?: string };
        expect([answer.status, error], `${path} ${JSON.stringify(body)?.slice(0, 60)}`).toEqual([
          status,
          { code, retryable: false },
        ]);
      }
      expect((await fetch(`${service.url}/orders/${absent}`)).status).toBe(404);
      const deleted = await fetch(`${service.url}/orders/${absent}`, { method: 'DELETE' });
      expect(deleted.status).toBeGreaterThanOrEqual(400);
      expect(await deleted.json()).toMatchObject({ retryable: false });
      expect(await counts()).toEqual(before);
      expect(service.lines).toEqual([]);
    });

    test('a transaction that is rolled back: leaves neither order nor event, and its key is free', async () => {
      const before = await counts();
      const answer = await post('/orders', 'rolled back', { ...ORDER, customer: 'mallory' });
      expect([answer.status, answer.body.code]).toEqual([500, 'internal']);
      expect(JSON.stringify(answer.body)).not.toContain('not this one');
      expect(service.lines.join('\n')).toContain('not this one');
      expect(await counts()).toEqual(before);
      expect((await post('/orders', 'rolled back', ORDER)).status).toBe(201);
      expect(await counts()).toEqual(before.map((count) => count + 1));
    });

    // A file is never away.
    const serverTest = database === 'postgresql' ? test : () => undefined;
    serverTest(
      'a database that is away: is answered with 503; afterwards the same request is taken',
      async () => {
        await postgresql?.kill();
        const answer = await post('/orders', 'away', ORDER);
        expect([answer.status, answer.body.code, answer.body.retryable]).toEqual([
          503,
          'unavailable',
          true,
        ]);
        expect(answer.headers.get('retry-after')).toBe('1');
        await postgresql?.restart();
        await until(
          async () => (await post('/orders', 'away', ORDER)).status === 201,
          'an order after the restart',
          WAIT_MS,
        );
        const made = await query(url, "SELECT id FROM orders WHERE place_key = 'away'");
        expect(made).toHaveLength(1);
      },
    );

    test('SIGTERM: the service ends by itself', async () => {
      expect(await service.kill('SIGTERM')).toBe(0);
    });
  });
}

/** The columns that the service writes. */
function readRow({ topic, type, source, data, attributes }: Row): Row {
  const parse = (value: unknown) => (typeof value === 'string' ? JSON.parse(value) : value);
  return { topic, type, source, data: parse(data), attributes: parse(attributes) };
}
