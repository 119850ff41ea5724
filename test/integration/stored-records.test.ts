import { createHash } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { headers as natsHeaders } from '@nats-io/transport-node';
import { revocationKey } from '@tidemark/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { revokeUser, statusOf, untilRefusedEverywhere } from '../support/access.ts';
import { keepSecret, makeToken } from '../support/services.ts';
import { type System, startSystem, withNats } from '../support/system.ts';
import { until } from '../support/until.ts';

/* What somebody puts into the buckets who can write to them and has no secret of the deployment. */

const SCOPE = 'publish:> subscribe:> history:>';

let system: System;

beforeAll(async () => {
  system = await startSystem();
});

afterAll(() => system.stop());

/** Stores a record past all services. */
function put(bucket: string, key: string, record: string): Promise<void> {
  return withNats(system.nats.url, async (connection) => {
    await jetstream(connection).publish(`$KV.${bucket}.${key}`, record);
  });
}

function putRevocation(key: string, record: unknown): Promise<void> {
  return put('TIDEMARK_REVOCATIONS', key, JSON.stringify(record));
}

async function lift(body: object): Promise<void> {
  const headers = { authorization: `Bearer ${await makeToken('admin', 'operator')}` };
  const url = `${system.gateway.url}/v1/admin/revocations`;
  const answer = await fetch(url, { method: 'DELETE', headers, body: JSON.stringify(body) });
  expect(answer.status).toBe(204);
}

async function restartServices(): Promise<void> {
  await Promise.all([system.replay, system.ingest, system.gateway].map((one) => one.restart()));
}

test.each([
  ['an acknowledgement of the stream', { stream: 'TIDEMARK_EVENTS', seq: 1 }],
  ['a forged end of it', { revocation: { subject: 'mallory' }, lifted: true }],
])(
  'revocation overwritten with %s: the user stays revoked, after restarts too',
  async (_, record) => {
    const token = await makeToken(SCOPE, 'mallory');
    await revokeUser(system, 'mallory');
    await putRevocation(revocationKey({ subject: 'mallory' }), record);
    await restartServices();
    await untilRefusedEverywhere(system, token);
    const other = await makeToken(SCOPE, 'bob');
    expect(await statusOf(system, system.ingest.url, other)).toBe(201);
    await lift({ sub: 'mallory' });
    await until(async () => (await statusOf(system, system.ingest.url, token)) === 201, 'lifted');
  },
);

test('record that cannot be read: connections of the user that its key names are closed', async () => {
  const client = system.open({ token: await makeToken(SCOPE, 'carol') });
  await client.first('welcome');
  await putRevocation(revocationKey({ subject: 'carol', issuedBeforeMs: 0 }), 'x');
  expect((await client.closed).code).toBe(4501);
});

test('forged ticket of an admin: is refused', async () => {
  const ticket = keepSecret('t'.repeat(43));
  const holder = { subject: 'x', grants: [], admin: true, expiresAtMs: Date.now() + 60_000 };
  const grants = [{ action: 'subscribe', pattern: '>' }];
  const key = createHash('sha256').update(ticket).digest('hex');
  await put('TIDEMARK_TICKETS', key, JSON.stringify({ ...holder, grants }));
  const url = `${system.gateway.url}/v1/sse?topics=a&ticket=${ticket}`;
  expect((await fetch(url)).status).toBe(401);
});

test('buckets: nothing can be purged from them, and no message removes others', async () => {
  await revokeUser(system, 'dave');
  await withNats(system.nats.url, async (connection) => {
    for (const bucket of ['TIDEMARK_REVOCATIONS', 'TIDEMARK_TICKETS']) {
      const purge = await connection.request(`$JS.API.STREAM.PURGE.KV_${bucket}`, '');
      expect(purge.string()).toContain('error');
    }
    const rollup = natsHeaders();
    rollup.set('Nats-Rollup', 'all');
    const stored = jetstream(connection).publish('$KV.TIDEMARK_REVOCATIONS.x', '', {
      headers: rollup,
    });
    await expect(stored).rejects.toThrow(/rollup/);
  });
});
