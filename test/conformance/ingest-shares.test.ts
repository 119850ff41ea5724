import { monitorEventLoopDelay } from 'node:perf_hooks';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { limitHits, makeToken, type Service, startService } from '../support/services.ts';
import { numbered } from '../support/system.ts';

/* What one publisher costs ingest, the others hardly notice (PROTOCOL.md section 8.2). */

const MIB = 1024 * 1024;
const BATCH = 'application/cloudevents-batch+json';
const STRUCTURED = 'application/cloudevents+json';
const SENDERS = 8;
/** The rates of a user are no subject of the flood. */
const UNLIMITED = {
  TIDEMARK_INGEST_PUBLISHES_PER_SECOND_MAX: '1000000',
  TIDEMARK_INGEST_BODY_BYTES_PER_SECOND_MAX: '1000000000',
};
/** Many times what a publish takes beside the attacks, on average. One such body alone took longer. */
const SOON_MS = 250;

let nats: NatsServer;
let replay: Service;
let ingest: Service;
beforeAll(async () => {
  nats = await startNatsServer();
  const natsUrl = nats.url;
  replay = await startService('replay', { natsUrl });
  ingest = await startService('ingest', { natsUrl });
});
afterAll(async () => {
  await ingest?.stop();
  await replay?.stop();
  await nats?.stop();
});

interface Sending {
  readonly user: string;
  readonly scope?: string;
  readonly type?: string;
  readonly gzip?: boolean;
}

async function send(body: string | Uint8Array<ArrayBuffer>, sending: Sending): Promise<number> {
  const { user, scope = 'publish:>', type = 'application/json', gzip } = sending;
  const answer = await fetch(`${ingest.url}/v1/events`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await makeToken(scope, user)}`,
      'content-type': type,
      ...(gzip && { 'content-encoding': 'gzip' }),
    },
    body,
  });
  await answer.text();
  return answer.status;
}

/** Sends the body again and again, on several connections at once, while another user publishes. */
async function publishBeside(body: string, sending: Sending) {
  const packed = new Uint8Array(gzipSync(body));
  let on = true;
  const seen = new Set<number>();
  const senders = Array.from({ length: SENDERS }, async () => {
    while (on) seen.add(await send(packed, { ...sending, gzip: true }));
  });
  const times: number[] = [];
  for (let n = 0; n < 20; n++) {
    const startMs = performance.now();
    const event = { ...numbered('shares.one', 1), id: crypto.randomUUID() };
    expect(await send(JSON.stringify(event), { user: 'victim' })).toBe(201);
    times.push(performance.now() - startMs);
  }
  on = false;
  await Promise.all(senders);
  return { meanMs: times.reduce((sum, ms) => sum + ms) / times.length, statuses: seen };
}

/** As many keys as a body has room for. */
function manyKeys(prefix: string, bytes: number): string {
  const pairs: string[] = [];
  for (let length = 0, n = 0; length < bytes; n++) {
    const pair = `"${prefix}${n.toString(36)}":1`;
    pairs.push(pair);
    length += pair.length + 1;
  }
  return pairs.join(',');
}

test.each([
  ['attributes', `{"type":"a.b",${manyKeys('k', MIB - 100)}}`, [400]],
  ['keys in data', `{"type":"a.b","data":{${manyKeys('k', MIB - 100)}}}`, [413, 429]],
  ['brackets', `{"type":"a.b","data":${'['.repeat(MIB - 100)}`, [400]],
])(
  'bodies of as many %s as there is room for, inflated: others publish at once',
  async (_, body, statuses) => {
    const { meanMs, statuses: seen } = await publishBeside(body, { user: 'keys' });
    expect([...statuses, 429]).toEqual(expect.arrayContaining([...seen]));
    expect(meanMs).toBeLessThan(SOON_MS);
  },
);

test('batches of events with as many keys as there is room for: others publish at once', async () => {
  const event = (n: number) => {
    const own = { specversion: '1.0', id: `${n}`, source: '/a', type: 'a.b', topic: 'a.b' };
    return `${JSON.stringify(own).slice(0, -1)},"data":{${manyKeys(`k${n}x`, 50_000)}}}`;
  };
  const batch = `[${Array.from({ length: 19 }, (_, n) => event(n)).join(',')}]`;
  const { meanMs } = await publishBeside(batch, { user: 'batches', type: BATCH });
  expect(meanMs).toBeLessThan(SOON_MS);
});

test('inflated bytes of a user: too many in a second: 429; others publish', async () => {
  const body = new Uint8Array(gzipSync(`{"type":"${' '.repeat(MIB - 100)}"}`));
  const before = await limitHits(ingest, 'body_bytes_per_second');
  const statuses = await Promise.all(
    Array.from({ length: 40 }, () => send(body, { user: 'inflater', gzip: true })),
  );
  expect(new Set(statuses)).toEqual(new Set([413, 429]));
  expect(await limitHits(ingest, 'body_bytes_per_second')).toBeGreaterThan(before);
  const event = JSON.stringify({ ...numbered('shares.one', 1), id: crypto.randomUUID() });
  expect(await send(event, { user: 'victim' })).toBe(201);
});

test('bodies of a user who may publish nothing: none is parsed', async () => {
  const body = `{"type":"a.b",${manyKeys('k', MIB - 100)}}`;
  const { meanMs, statuses } = await publishBeside(body, { user: 'reader', scope: 'subscribe:>' });
  expect(statuses).toEqual(new Set([403]));
  expect(meanMs).toBeLessThan(SOON_MS);
});

/** A request waits 1 s at most until it is sent, and no longer than 1.5 s with the acknowledgement. */
const ANSWERED_MS = 2000;
const FLOOD_CONNECTIONS = 64;
const FLOOD_EVENTS = 100;
const FLOOD_MS = 4000;

test('batches of one user, many at once and without a pause: answers in 2 s, and others publish at once', async () => {
  const flooded = await startService('ingest', { natsUrl: nats.url, env: UNLIMITED });
  const tokens = {
    flood: await makeToken('publish:>', 'flood'),
    other: await makeToken('publish:>', 'other'),
  };
  const post = async (user: keyof typeof tokens, body: string, type: string) => {
    const startMs = performance.now();
    const headers = { authorization: `Bearer ${tokens[user]}`, 'content-type': type };
    const answer = await fetch(`${flooded.url}/v1/events`, { method: 'POST', headers, body });
    await answer.text();
    return { status: answer.status, tookMs: performance.now() - startMs };
  };
  // The client has to be cheap: only the ids of a body change.
  const event = (id: string) =>
    JSON.stringify({
      ...numbered('shares.flood', 1),
      specversion: '1.0',
      id,
      data: 'x'.repeat(200),
    });
  const batch = `[${Array.from({ length: FLOOD_EVENTS }, (_, n) => event(`@-${n}`)).join(',')}]`;
  const renewed = (body: string) => body.replaceAll('@', crypto.randomUUID());
  // The first requests of a process take ten times as long.
  for (let n = 0; n < 50; n++) await post('flood', renewed(batch), BATCH);
  const lag = monitorEventLoopDelay({ resolution: 10 });
  lag.enable();
  const endMs = performance.now() + FLOOD_MS;
  const flood: { status: number; tookMs: number }[] = [];
  const flooding = Array.from({ length: FLOOD_CONNECTIONS }, async () => {
    while (performance.now() < endMs) flood.push(await post('flood', renewed(batch), BATCH));
  });
  const others: number[] = [];
  while (performance.now() < endMs) {
    const { status, tookMs } = await post('other', renewed(event('@')), STRUCTURED);
    expect(status).toBe(201);
    others.push(tookMs);
  }
  await Promise.all(flooding);
  lag.disable();
  await flooded.stop();
  expect(flood.map(({ status }) => status).filter((one) => ![201, 429, 503].includes(one))).toEqual(
    [],
  );
  // The client shares its cores with other tests: what it is late itself is no time of ingest.
  const slowestMs = Math.max(...flood.map(({ tookMs }) => tookMs));
  expect(slowestMs).toBeLessThan(ANSWERED_MS + lag.max / 1e6);
  const sorted = others.toSorted((left, right) => left - right);
  expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThan(SOON_MS);
});
