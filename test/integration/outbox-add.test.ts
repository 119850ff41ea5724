import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createOutbox, type OutboxEvent, schemaFor } from '@tidemark/publisher/outbox';
import Database from 'better-sqlite3';
import { type Client, Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LACKS_POSTGRESQL, type Postgresql, startPostgresql } from '../support/postgresql.ts';

const outbox = createOutbox({ source: '/shop' });
const PAID = { topic: 'orders.42', type: 'order.paid', data: { total: 7 } };
const ROW = { topic: 'orders.42', type: 'order.paid', source: '/shop' };

const WRONG: readonly (readonly [string, OutboxEvent, string])[] = [
  ['a topic with a space', { ...PAID, topic: 'orders 42' }, 'invalid_event'],
  ['a type that is no topic, and no topic', { type: 'order paid' }, 'invalid_topic'],
  ['no type', { topic: 'orders.42' } as unknown as OutboxEvent, 'invalid_event'],
  ['a source with a space', { ...PAID, source: 'the shop' }, 'invalid_event'],
  ['a reserved topic', { ...PAID, topic: 'inbox.alice' }, 'forbidden'],
  ['an expiry that is over', { ...PAID, expires: '2020-01-01T00:00:00Z' }, 'invalid_event'],
  ['data of more than 256 KiB', { ...PAID, data: 'x'.repeat(256 * 1024) }, 'too_large'],
  ['half of a surrogate pair', { ...PAID, data: '\ud800' }, 'invalid_event'],
  ['an attribute with a capital', { ...PAID, Colour: 'red' }, 'invalid_event'],
];

describe.skipIf(LACKS_POSTGRESQL)('outbox (needs PostgreSQL)', () => {
  let server: Postgresql;
  let client: Client;

  beforeAll(async () => {
    server = await startPostgresql();
    client = await server.connect();
    await client.query(schemaFor('postgresql'));
  });
  afterAll(async () => {
    await client?.end();
    await server?.stop();
  });

  test('schema: run again: keeps the rows', async () => {
    await client.query('BEGIN');
    await outbox.add(client, PAID);
    await client.query('COMMIT');
    await client.query(schemaFor('postgresql'));
    expect((await client.query('DELETE FROM tidemark_outbox')).rowCount).toBe(1);
  });

  test('add: a transaction that commits: leaves a row with all of the event', async () => {
    await client.query('BEGIN');
    const event = {
      ...PAID,
      time: '2026-01-02T03:04:05.678901+01:00',
      subject: 'x',
      colour: 'red',
    };
    const added = await outbox.add(client, event);
    await client.query('COMMIT');
    const { rows } = await client.query(
      "DELETE FROM tidemark_outbox RETURNING *, data::text AS text, time AT TIME ZONE 'UTC' AS utc",
    );
    expect(rows).toMatchObject([
      {
        ...ROW,
        id: added.id,
        text: '{"total":7}',
        attributes: { subject: 'x', colour: 'red' },
        attempted_at: null,
      },
    ]);
    expect(added).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      source: '/shop',
      topic: 'orders.42',
    });
    expect(rows[0].time.toISOString()).toBe('2026-01-02T02:04:05.678Z');
  });

  test('add: a transaction that is rolled back: leaves nothing', async () => {
    await client.query('BEGIN');
    await outbox.add(client, PAID);
    await client.query('ROLLBACK');
    expect((await client.query('SELECT FROM tidemark_outbox')).rowCount).toBe(0);
  });

  test.each(WRONG)('add: %s: is refused, and the transaction goes on', async (_, event, code) => {
    await client.query('BEGIN');
    await expect(outbox.add(client, event)).rejects.toMatchObject({ code });
    expect((await client.query('SELECT FROM tidemark_outbox')).rowCount).toBe(0);
    await client.query('COMMIT');
  });

  test('add: outside a transaction, or on a pool: is refused', async () => {
    await expect(outbox.add(client, PAID)).rejects.toThrow(/inside a transaction/);
    const pool = new Pool({ connectionString: server.url });
    await expect(outbox.add(pool, PAID)).rejects.toThrow(/pool/);
    await pool.end();
    expect((await client.query('SELECT FROM tidemark_outbox')).rowCount).toBe(0);
  });

  test('add: absent data, data that is null, and bytes: are three things', async () => {
    await client.query('BEGIN');
    await outbox.add(client, { type: 'a' });
    await outbox.add(client, { type: 'b', data: null });
    await outbox.add(client, { type: 'c', data_base64: 'AAE=' });
    await client.query('COMMIT');
    const { rows } = await client.query(
      'SELECT topic, data::text, attributes::text FROM tidemark_outbox ORDER BY position',
    );
    expect(rows).toEqual([
      { topic: 'a', data: null, attributes: null },
      { topic: 'b', data: 'null', attributes: null },
      { topic: 'c', data: null, attributes: '{"data_base64":"AAE="}' },
    ]);
    await client.query('DELETE FROM tidemark_outbox');
  });

  test('insert: a row of plain SQL: is told to listeners with the name of its table', async () => {
    const told = new Promise((resolve) => client.once('notification', resolve));
    await client.query('LISTEN tidemark_outbox');
    await client.query(`INSERT INTO tidemark_outbox (topic, type, source, data)
      VALUES ('orders.1', 'order.paid', '/billing', '{"total": 12345678901234567890}')`);
    expect(await told).toMatchObject({ payload: 'public.tidemark_outbox' });
    const { rows } = await client.query('DELETE FROM tidemark_outbox RETURNING id, data::text');
    expect(rows).toEqual([
      { id: expect.stringMatching(/^[0-9a-f-]{36}$/), data: '{"total": 12345678901234567890}' },
    ]);
  });

  test('schema: a table in another schema: takes rows of its own', async () => {
    await client.query(`CREATE SCHEMA shop; ${schemaFor('postgresql', 'shop.events_out')}`);
    await client.query('BEGIN');
    await createOutbox({ source: '/shop', table: 'shop.events_out' }).add(client, PAID);
    await client.query('COMMIT');
    expect((await client.query('SELECT FROM shop.events_out')).rowCount).toBe(1);
    expect((await client.query('SELECT FROM tidemark_outbox')).rowCount).toBe(0);
  });

  test('privileges: a writer that may only insert: adds', async () => {
    await client.query('CREATE ROLE writer; GRANT INSERT ON tidemark_outbox TO writer');
    await client.query('BEGIN; SET LOCAL ROLE writer');
    await outbox.add(client, PAID);
    await client.query('COMMIT');
    expect((await client.query('DELETE FROM tidemark_outbox')).rowCount).toBe(1);
  });
});

describe.each(['better-sqlite3', 'node:sqlite'])('outbox in SQLite with %s', (library) => {
  let folder: string;
  let database: InstanceType<typeof Database> | DatabaseSync;
  const rows = () => database.prepare('SELECT * FROM tidemark_outbox ORDER BY position').all();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemark-outbox-'));
    const path = join(folder, 'shop.db');
    database = library === 'node:sqlite' ? new DatabaseSync(path) : new Database(path);
    database.exec(schemaFor('sqlite'));
    database.exec(schemaFor('sqlite'));
  });
  afterAll(async () => {
    database.close();
    await rm(folder, { recursive: true });
  });

  test('add: a transaction that commits: leaves a row with all of the event', () => {
    database.exec('BEGIN');
    const added = outbox.add(database, { ...PAID, subject: 'x' });
    database.exec('COMMIT');
    expect(rows()).toMatchObject([
      {
        ...ROW,
        position: 1,
        id: added.id,
        data: '{"total":7}',
        attributes: '{"subject":"x"}',
        failed_at: null,
      },
    ]);
    database.exec('DELETE FROM tidemark_outbox');
  });

  test('add: a transaction that is rolled back: leaves nothing', () => {
    database.exec('BEGIN');
    outbox.add(database, PAID);
    database.exec('ROLLBACK');
    expect(rows()).toEqual([]);
  });

  test.each(WRONG)('add: %s: is refused, and the transaction goes on', (_, event, code) => {
    database.exec('BEGIN');
    expect(() => outbox.add(database, event)).toThrow(expect.objectContaining({ code }));
    expect(rows()).toEqual([]);
    database.exec('COMMIT');
  });

  test('add: outside a transaction: is refused', () => {
    expect(() => outbox.add(database, PAID)).toThrow(/inside a transaction/);
    expect(rows()).toEqual([]);
  });

  test('insert: rows of plain SQL: have ids and times, and positions that are never used again', () => {
    const insert = `INSERT INTO tidemark_outbox (topic, type, source) VALUES ('a', 'b', '/c')`;
    database.exec(insert);
    const [first] = rows() as { position: number; time: string; id: string }[];
    expect(first?.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(first?.id).toMatch(/^[0-9a-f]{32}$/);
    database.exec(`DELETE FROM tidemark_outbox; ${insert}`);
    expect(rows()).toMatchObject([{ position: (first?.position ?? 0) + 1 }]);
    database.exec('DELETE FROM tidemark_outbox');
  });

  test('insert: data that is no JSON: is refused', () => {
    const insert = `INSERT INTO tidemark_outbox (topic, type, source, data) VALUES ('a', 'b', '/c', '{')`;
    expect(() => database.exec(insert)).toThrow(/CHECK|malformed/);
  });
});

test.each(['a.b.c', 'Orders', 'a"b', '', 'x'.repeat(49)])('table %j: is refused', (table) => {
  expect(() => createOutbox({ table })).toThrow(TypeError);
  expect(() => schemaFor('postgresql', table)).toThrow(TypeError);
});
