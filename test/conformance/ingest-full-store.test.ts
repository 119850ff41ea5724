import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { STREAM_NAME } from '@tidemark/nats';
import { afterEach, expect, test } from 'vitest';
import { canMount, mountSmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { type Answer, type IngestSetup, startIngest } from './ingest-setup.ts';

/* NATS has no space for events: by its own limit, and because its disk is full. */

const DATA = 'x'.repeat(100_000);
const LEFT_BYTES = 300_000;
const FULL = "The stream's store is full.";
const STUCK = 'The stream stores nothing: its disk may be full, or most of its replicas away.';
const UNANSWERED = 'The stream did not acknowledge in time.';
/** A store is filled as fast as it takes events. */
const UNLIMITED = { TIDEMARK_INGEST_BODY_BYTES_PER_SECOND_MAX: '1000000000' };
const TEST_TIMEOUT_MS = 60_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let ids = 0;
function event() {
  return { id: String(++ids), source: '/full', type: 'full', topic: 'full', data: DATA };
}

/** Posts until the answer says what it is waiting for; until then it is an event stored, or not yet. */
async function postUntil({ post }: IngestSetup, messages: readonly string[]): Promise<Answer> {
  for (;;) {
    const answer = await post(event());
    if (messages.includes(answer.body.message)) return answer;
    if (answer.status !== 201) expect(answer.body.message).toBe(UNANSWERED);
  }
}

async function readiness({ ingest }: IngestSetup) {
  const response = await fetch(`${ingest.url}/readyz`);
  return { status: response.status, body: await response.json() };
}

async function faults({ ingest }: IngestSetup): Promise<string[]> {
  const text = await (await fetch(`${ingest.url}/metrics`)).text();
  return [...text.matchAll(/tidemark_ingest_store_fault\{fault="(\w+)".*\} 1/g)].map(
    ([, name = '']) => name,
  );
}

function logged({ ingest }: IngestSetup, message: string): number {
  return ingest.logs.filter(({ msg }) => msg === message).length;
}

function expectUnavailable({ status, headers, body }: Answer): void {
  expect(status).toBe(503);
  expect(headers.get('retry-after')).toBe('1');
  expect(body).toMatchObject({ code: 'unavailable', retryable: true });
}

async function expectFault(setup: IngestSetup): Promise<void> {
  expect(await readiness(setup)).toMatchObject({
    status: 503,
    body: { ready: false, checks: { nats: true, stream: true, store: false } },
  });
  expect(await faults(setup)).toHaveLength(1);
  expect(logged(setup, 'the stream stores no events')).toBe(1);
  expect(logged(setup, 'the stream stores events again')).toBe(0);
}

async function expectWell(setup: IngestSetup): Promise<void> {
  await until(async () => (await readiness(setup)).status === 200);
  expect(await faults(setup)).toEqual([]);
  expect(logged(setup, 'the stream stores no events')).toBe(1);
  expect(logged(setup, 'the stream stores events again')).toBe(1);
}

test(
  'NATS reaches its own limit: the answer says so, not ready, logged once; space again: well by itself',
  async () => {
    // The buckets reserve most of it.
    const setup = await startIngest({
      env: UNLIMITED,
      nats: { jetStream: 'max_file_store: 40MB' },
    });
    cleanups.push(setup.stop);
    for (let n = 0; n < 20; n++) expectUnavailable(await postUntil(setup, [FULL]));
    await expectFault(setup);
    const connection = await connect({ servers: setup.nats.url });
    await (await jetstreamManager(connection)).streams.update(STREAM_NAME, { max_msgs: 10 });
    await connection.close();
    expect((await setup.post(event())).status).toBe(201);
    await expectWell(setup);
  },
  TEST_TIMEOUT_MS,
);

test.skipIf(!canMount())(
  'the disk of NATS is full: the answer says so, not ready, logged once; space again: well by itself',
  async () => {
    const disk = await mountSmallDisk(16);
    cleanups.push(disk.remove);
    const setup = await startIngest({
      env: UNLIMITED,
      nats: { storeFolder: disk.folder, jetStream: 'max_file_store: 1GB' },
    });
    cleanups.push(setup.stop);
    expect((await setup.post(event())).status).toBe(201);
    await disk.fill(LEFT_BYTES);
    const { nats, post } = setup;
    for (let n = 0; n < 3; n++) expectUnavailable(await postUntil(setup, [FULL, STUCK]));
    await expectFault(setup);
    await disk.free();
    // 2.12 stores again as soon as there is space. 2.15 does so after a restart.
    if ((await post(event())).status !== 201) await nats.restart();
    await until(async () => (await post(event())).status === 201);
    await expectWell(setup);
  },
  TEST_TIMEOUT_MS,
);
