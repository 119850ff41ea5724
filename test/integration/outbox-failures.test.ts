import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { schemaFor } from '@tidemark/publisher/outbox';
import { listFailedRows, retryFailedRows } from '@tidemark/relay/failed-rows';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freeze } from '../support/freeze.ts';
import { type LossyProxy, startLossyProxy } from '../support/lossy-proxy.ts';
import { DATABASES, startOutbox, startOutboxRelay, type TestOutbox } from '../support/outbox.ts';
import { makeToken, type Service } from '../support/services.ts';
import { metric, type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/** The stream recognises a repeat for so long, and the relay counts on a third of it. */
const WINDOW_SECONDS = 6;
const RELAY_TIMES = {
  TIDEMARK_RELAY_RECOGNISED_SECONDS: String(WINDOW_SECONDS / 3),
  TIDEMARK_RELAY_REQUEST_TIMEOUT_MS: '1000',
  TIDEMARK_RELAY_LOCK_SECONDS: '2',
};

let system: System;
let proxy: LossyProxy;
const relays: Service<'relay'>[] = [];
beforeAll(async () => {
  system = await startSystem({
    env: { TIDEMARK_STREAM_DUPLICATE_WINDOW_SECONDS: String(WINDOW_SECONDS) },
  });
  proxy = await startLossyProxy(system.ingest.url);
});
afterEach(async () => {
  proxy.loss = 'none';
  await Promise.all(relays.splice(0).map((relay) => relay.stop()));
});
afterAll(async () => {
  await proxy.stop();
  await system.stop();
});

async function start(outbox: TestOutbox, env: Record<string, string> = {}) {
  const relay = await startOutboxRelay(outbox, system, {
    TIDEMARK_RELAY_INGEST_URL: proxy.url,
    ...RELAY_TIMES,
    ...env,
  });
  relays.push(relay);
  return relay;
}

async function storedIds(topics: string): Promise<string[]> {
  const headers = { authorization: `Bearer ${system.token}` };
  const url = `${system.replay.url}/v1/events?topics=${topics}&limit=1000`;
  const page = (await (await fetch(url, { headers })).json()) as {
    items: { event: { id: string } }[];
  };
  return page.items.map(({ event }) => event.id);
}

async function untilStored(topics: string, ids: readonly string[]): Promise<void> {
  await until(
    async () => (await storedIds(topics)).length >= ids.length,
    `the events of ${topics}`,
    30_000,
  );
  expect(await storedIds(topics)).toEqual(ids);
}

function untilEmpty(outbox: TestOutbox): Promise<void> {
  return until(async () => (await outbox.rows()).length === 0, 'an empty outbox', 30_000);
}

/** An event of somebody else: tells whether the stream still recognises what was stored with it. */
async function postControl(id: string): Promise<{ duplicate: boolean }> {
  const answer = await fetch(`${system.ingest.url}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${system.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id, type: 'control', data: 1 }),
  });
  return answer.json() as Promise<{ duplicate: boolean }>;
}

const waitingFor = (relay: Service<'relay'>, what: string) =>
  relay.logs.filter(({ msg, for: on }) => msg === 'waiting' && on === what);

const numbers = (count: number) => Array.from({ length: count }, (_, n) => String(n));

describe.each(DATABASES)('failures of a relay of an outbox in %s', (database) => {
  let outbox: TestOutbox;
  beforeAll(async () => {
    outbox = await startOutbox(database);
  });
  afterAll(() => outbox?.stop());

  test('an outage longer than the stream recognises repeats: what was stored without an answer is not sent again', async () => {
    const topics = ['a', 'b'].map((name) => `shop.${database}.outage.${name}`);
    const ids = numbers(20);
    const add = (part: readonly string[]) =>
      outbox.add(...part.flatMap((id) => topics.map((topic) => ({ topic, type: 'outage', id }))));
    // It looks nothing up itself.
    const relay = await start(outbox, { TIDEMARK_RELAY_RECOGNISED_SECONDS: '3600' });
    proxy.loss = 'answer';
    await add(ids.slice(0, 10));
    for (const topic of topics) await untilStored(topic, ids.slice(0, 10));
    proxy.loss = 'request';
    await add(ids.slice(10));
    await until(async () => (await outbox.rows()).every(({ attempted }) => attempted), 'marks');
    await relay.kill('SIGKILL');
    const control = `control of ${database}`;
    expect(await postControl(control)).toMatchObject({ duplicate: false });
    await sleep(WINDOW_SECONDS * 1000);
    await until(async () => !(await postControl(control)).duplicate, 'the end of the window');
    proxy.loss = 'none';
    const next = await start(outbox);
    await untilEmpty(outbox);
    for (const topic of topics) await untilStored(topic, ids);
    const text = await (await fetch(`${next.url}/metrics`)).text();
    expect(text).toMatch(/relay_rows_total\{.*result="found".*\} 20\n/);
    expect(text).toMatch(/relay_rows_total\{.*result="stored".*\} 20\n/);
  });

  test('replay is away: rows that must be looked up wait, and those of other topics go on', async () => {
    const [old, other] = [`shop.${database}.old`, `shop.${database}.other`] as const;
    proxy.loss = 'answer';
    const relay = await start(outbox);
    await outbox.add({ topic: old, type: 'a', id: '1' });
    await untilStored(old, ['1']);
    await system.replay.kill('SIGKILL');
    await until(async () => (await metric(relay, 'relay_topics_held')) === 1, 'a held topic');
    proxy.loss = 'none';
    await outbox.add({ topic: old, type: 'a', id: '2' }, { topic: other, type: 'a', id: '1' });
    await until(async () => (await outbox.rows()).length === 2, 'the other topic to go on');
    expect((await outbox.rows()).map(({ topic }) => topic)).toEqual([old, old]);
    expect(waitingFor(relay, 'lookups').length).toBeGreaterThan(0);
    await system.replay.restart();
    await untilEmpty(outbox);
    await untilStored(old, ['1', '2']);
    await untilStored(other, ['1']);
  });

  test('two relays: one works, and the other takes over when that is killed', async () => {
    const topic = `shop.${database}.two`;
    const first = await start(outbox);
    await until(async () => (await metric(first, 'relay_holds_lock')) === 1, 'the lock');
    const second = await start(outbox);
    await until(
      () => second.logs.some(({ msg }) => String(msg).startsWith('another relay has the lock')),
      'the second to wait',
    );
    expect(await metric(second, 'relay_holds_lock')).toBe(0);
    await outbox.add({ topic, type: 'a', id: '1' });
    await untilStored(topic, ['1']);
    await first.kill('SIGKILL');
    await outbox.add({ topic, type: 'a', id: '2' });
    await untilStored(topic, ['1', '2']);
    expect(await metric(second, 'relay_holds_lock')).toBe(1);
  });

  test('a token that is refused, and one without permission: nothing is set aside, and a right one goes on', async () => {
    const topic = `shop.${database}.token`;
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-token-'));
    const file = join(folder, 'token');
    const give = async (token: string) => {
      await writeFile(`${file}.new`, token);
      await rename(`${file}.new`, file);
    };
    const [header, claims] = (await makeToken('publish:shop.>', 'shop')).split('.');
    await give(`${header}.${claims}.${'A'.repeat(43)}`);
    const relay = await start(outbox, { TIDEMARK_RELAY_TOKEN_FILE: file });
    await outbox.add({ topic, type: 'a', id: '1' }, { topic, type: 'a', id: '2' });
    await until(() => waitingFor(relay, 'ingest').length > 0, 'a refusal');
    expect(waitingFor(relay, 'ingest')[0]?.reason).toMatch(/^unauthenticated/);
    await give(await makeToken('publish:other.>', 'shop'));
    await until(() => waitingFor(relay, 'topics').length > 0, 'a refusal of the topic');
    expect(waitingFor(relay, 'topics')[0]?.reason).toMatch(/^forbidden/);
    expect((await outbox.rows()).map(({ failure }) => failure)).toEqual([null, null]);
    await give(await makeToken('publish:shop.> history:shop.>', 'shop'));
    await untilEmpty(outbox);
    await untilStored(topic, ['1', '2']);
    await rm(folder, { recursive: true });
  });

  test('rows that were set aside: are listed, and tried again when an operator says so', async () => {
    const place = { databaseUrl: outbox.url, table: 'tidemark_outbox' };
    const topic = `shop.${database}.again`;
    await start(outbox);
    await outbox.run(`INSERT INTO tidemark_outbox (topic, type, source, id) VALUES
      ('${topic}', '', '/sql', '1'), ('${topic}', '', '/sql', '2'), ('${topic}', '', '/sql', '3')`);
    await until(async () => (await listFailedRows(place)).length === 3, 'three failures');
    const [first, second] = await listFailedRows(place);
    expect(first).toMatchObject({ topic, id: '1', failure: expect.stringContaining('type') });
    await outbox.run(`UPDATE tidemark_outbox SET type = 'a' WHERE id IN ('1', '2')`);
    expect(await retryFailedRows(place, { positions: [second?.position ?? ''] })).toBe(1);
    await untilStored(topic, ['2']);
    expect(await retryFailedRows(place)).toBe(2);
    await untilStored(topic, ['2', '1']);
    await until(async () => (await listFailedRows(place)).length === 1, 'one failure');
    await expect(retryFailedRows(place, { positions: ['1; --'] })).rejects.toThrow(TypeError);
    await outbox.run('DELETE FROM tidemark_outbox');
  });

  test('a name that no table has: the relay does not start, and names the setting', async () => {
    await expect(start(outbox, { TIDEMARK_RELAY_TABLE: 'Shop' })).rejects.toThrow(
      /TIDEMARK_RELAY_TABLE: .*Shop.* is not the name of an outbox/,
    );
  });

  test('a table that is not there yet: the relay waits for it', async () => {
    const topic = `shop.${database}.late`;
    const relay = await start(outbox, { TIDEMARK_RELAY_TABLE: 'late_outbox' });
    await until(() => waitingFor(relay, 'database').length > 0, 'the wait');
    expect(waitingFor(relay, 'database')[0]?.reason).toMatch(/late_outbox/);
    const kind = database === 'SQLite' ? 'sqlite' : 'postgresql';
    await outbox.run(schemaFor(kind, 'late_outbox'));
    await outbox.run(
      `INSERT INTO late_outbox (topic, type, source, id) VALUES ('${topic}', 'a', '/sql', '1')`,
    );
    await untilStored(topic, ['1']);
    expect(waitingFor(relay, 'database')).toHaveLength(1);
  });
});

describe.skipIf(!DATABASES.includes('PostgreSQL'))('failures (needs PostgreSQL)', () => {
  let outbox: TestOutbox;
  beforeAll(async () => {
    outbox = await startOutbox('PostgreSQL');
  });
  afterAll(() => outbox?.stop());

  test('a relay that stands still: another takes over, and nothing comes twice when the first goes on', async () => {
    const topic = 'shop.still';
    const ids = numbers(30);
    const first = await start(outbox);
    await outbox.add({ topic, type: 'a', id: '0' });
    await untilStored(topic, ['0']);
    const second = await start(outbox);
    // It stands still with rows that it has marked and of which it has no answer.
    proxy.loss = 'answer';
    await outbox.add(...ids.slice(1, 10).map((id) => ({ topic, type: 'a', id })));
    await until(async () => (await outbox.rows()).every(({ attempted }) => attempted), 'marks');
    await freeze(first.pid);
    proxy.loss = 'none';
    await outbox.add(...ids.slice(10, 20).map((id) => ({ topic, type: 'a', id })));
    await untilStored(topic, ids.slice(0, 20));
    expect(await metric(second, 'relay_holds_lock')).toBe(1);
    process.kill(first.pid, 'SIGCONT');
    await outbox.add(...ids.slice(20).map((id) => ({ topic, type: 'a', id })));
    await untilEmpty(outbox);
    await untilStored(topic, ids);
    expect(await metric(first, 'relay_holds_lock')).toBe(0);
    expect(await metric(second, 'relay_holds_lock')).toBe(1);
  });

  test('the database is killed: the relay says so once, waits, and goes on', async () => {
    const topic = 'shop.killed';
    const relay = await start(outbox);
    await outbox.add({ topic, type: 'a', id: '1' });
    await untilStored(topic, ['1']);
    await outbox.postgresql?.kill();
    await until(() => waitingFor(relay, 'database').length > 0, 'the wait');
    await until(async () => (await fetch(`${relay.url}/readyz`)).status === 503, 'not ready');
    await outbox.postgresql?.restart();
    await outbox.reconnect();
    await outbox.add({ topic, type: 'a', id: '2' });
    await untilStored(topic, ['1', '2']);
    await untilEmpty(outbox);
  });

  test('a user with no more privileges than the protocol names: is enough', async () => {
    const topic = 'shop.least';
    await outbox.run(`CREATE ROLE relay LOGIN;
      GRANT SELECT, DELETE, UPDATE (attempted_at, failed_at, failure) ON tidemark_outbox TO relay`);
    await start(outbox, {
      TIDEMARK_RELAY_DATABASE_URL: outbox.url.replace('postgres@', 'relay@'),
    });
    await outbox.run(`INSERT INTO tidemark_outbox (topic, type, source, id) VALUES
      ('${topic}', '', '/sql', 'wrong'), ('${topic}', 'a', '/sql', '1')`);
    await untilStored(topic, ['1']);
    await until(async () => (await outbox.rows())[0]?.failure !== null, 'a failure');
    await outbox.run('DELETE FROM tidemark_outbox');
  });
});
