import { createHash, createHmac, randomUUID } from 'node:crypto';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers as natsHeaders } from '@nats-io/transport-node';
import { type RecordPlace, RecordSeal } from '@tidemark/nats';
import { revocationKey } from '@tidemark/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { revokeUser, statusOf, untilRefusedEverywhere } from '../support/access.ts';
import { keepSecret, makeToken, TEST_SECRET } from '../support/services.ts';
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

/** A record as the version before wrote it. */
function sealWithoutTime({ bucket, key }: RecordPlace, text: string): string {
  const secret = createHmac('sha256', TEST_SECRET).update('tidemark stored records, version 1');
  const mac = createHmac('sha256', secret.digest());
  for (const part of [bucket, key, text]) mac.update(`${Buffer.byteLength(part)}:${part}`);
  return `${mac.digest('base64url')}.${text}`;
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

/** The deployment's own seal: what it seals is what services once stored, and somebody recorded. */
const seal = new RecordSeal([TEST_SECRET]);

test.each([
  ['61 s ago', (place: RecordPlace, text: string) => seal.seal(place, text, Date.now() - 61_000)],
  ['by a version that sealed no time', sealWithoutTime],
])(
  'record that lifts a revocation, recorded %s, stored again: the user stays revoked',
  async (_, sealAs) => {
    const [subject] = randomUUID().split('-');
    const revocation = { subject: `erin-${subject}` };
    const token = await makeToken(SCOPE, revocation.subject);
    await revokeUser(system, revocation.subject);
    const key = revocationKey(revocation);
    const place = { bucket: 'TIDEMARK_REVOCATIONS', key };
    await put(place.bucket, key, sealAs(place, JSON.stringify({ revocation, lifted: true })));
    await restartServices();
    await untilRefusedEverywhere(system, token);
  },
);

test('revocation of a version that sealed no time, stored before all are sealed with one: holds', async () => {
  const revocation = { subject: 'frank' };
  const token = await makeToken(SCOPE, 'frank');
  const key = revocationKey(revocation);
  const place = { bucket: 'TIDEMARK_REVOCATIONS', key };
  const lifted = sealWithoutTime(place, JSON.stringify({ revocation, lifted: true }));
  await put(place.bucket, key, lifted);
  await untilRefusedEverywhere(system, token);
  // As replay does when it finds a bucket of that version.
  await withNats(system.nats.url, async (connection) => {
    const { streams } = await jetstreamManager(connection);
    const { config } = await streams.info('KV_TIDEMARK_REVOCATIONS');
    expect(config.metadata).toMatchObject({ tidemark_untimed_until: '0' });
    const { tidemark_untimed_until: _, ...metadata } = config.metadata ?? {};
    await streams.update(config.name, { ...config, metadata });
  });
  await restartServices();
  await until(async () => (await statusOf(system, system.ingest.url, token)) === 201, 'lifted');
  await withNats(system.nats.url, async (connection) => {
    const { streams } = await jetstreamManager(connection);
    const { metadata } = (await streams.info('KV_TIDEMARK_REVOCATIONS')).config;
    const untilMs = Number(metadata?.tidemark_untimed_until);
    expect(Math.abs(untilMs - Date.now() - 60 * 60_000)).toBeLessThan(60_000);
  });
});

test('ticket that was used, stored again after its end: is refused', async () => {
  const ticket = keepSecret('u'.repeat(43));
  const key = createHash('sha256').update(ticket).digest('hex');
  const grants = [{ action: 'subscribe', pattern: '>' }];
  const holder = { subject: 'x', grants, admin: false, expiresAtMs: Date.now() + 60_000 };
  const url = `${system.gateway.url}/v1/sse?topics=a&ticket=${ticket}`;
  const place = { bucket: 'TIDEMARK_TICKETS', key };
  const redeem = async (expiresAtMs: number): Promise<number> => {
    await put(place.bucket, key, seal.seal(place, JSON.stringify({ holder, expiresAtMs })));
    const response = await fetch(url);
    await response.body?.cancel();
    return response.status;
  };
  expect(await redeem(Date.now() - 1)).toBe(401);
  expect(await redeem(Date.now() + 30_000)).toBe(200);
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
