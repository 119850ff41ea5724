import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { STREAM_NAME } from '@tidemark/nats';
import { afterEach, describe, expect, test } from 'vitest';
import { freeze } from '../support/freeze.ts';
import { startNatsServer } from '../support/nats-server.ts';
import { makeToken, startService } from '../support/services.ts';
import { sequenceOf } from '../support/system.ts';
import {
  type Answer,
  createStream,
  type IngestOptions,
  postTo,
  startIngest,
} from './ingest-setup.ts';

/** The promise: an answer within this time whatever NATS does. */
const ANSWER_MS_MAX = 2000;

/** For what takes as long as the machine is busy. */
const PATIENT = { timeout: 10_000 };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: IngestOptions = {}) {
  const setup = await startIngest(options);
  cleanups.push(setup.stop);
  return setup;
}

async function timed(post: Promise<Answer>): Promise<Answer> {
  const startMs = performance.now();
  const answer = await post;
  expect(performance.now() - startMs).toBeLessThan(ANSWER_MS_MAX);
  return answer;
}

function expectUnavailable({ status, headers, body }: Answer): void {
  expect(status).toBe(503);
  expect(headers.get('retry-after')).toBe('1');
  expect(body).toMatchObject({ code: 'unavailable', retryable: true });
}

function event(id: string) {
  return { id, source: '/failures', type: 'failures' };
}

async function readiness(url: string) {
  const response = await fetch(`${url}/readyz`);
  return { status: response.status, body: await response.json() };
}

describe('ingest, started before NATS', () => {
  test('no NATS, then no stream, then both: 503 and not ready until then', async () => {
    const placeholder = await startNatsServer();
    const { port, url: natsUrl } = placeholder;
    await placeholder.stop();
    const ingest = await startService('ingest', { natsUrl, waitUntilReady: false });
    cleanups.push(ingest.stop);
    const token = await makeToken('publish:>');
    const post = (id: string) => timed(postTo(ingest.url, event(id), { token }));

    expectUnavailable(await post('1'));
    expect(await readiness(ingest.url)).toEqual({
      status: 503,
      body: {
        ready: false,
        checks: { nats: false, stream: false, store: true, revocations: false },
      },
    });
    expect((await fetch(`${ingest.url}/healthz`)).status).toBe(200);

    const nats = await startNatsServer({ port });
    cleanups.push(nats.stop);
    await expect
      .poll(() => readiness(ingest.url), PATIENT)
      .toMatchObject({ body: { checks: { nats: true, stream: false } } });
    expectUnavailable(await post('2'));

    await createStream(natsUrl);
    await ingest.waitUntilReady();
    expect((await post('3')).status).toBe(201);
  });
});

describe('ingest, NATS fails under load', () => {
  test('SIGKILL and restart: every 201 is in the stream, everything else was a 503', async () => {
    const { nats, ingest, post, stored } = await start();
    const acknowledged = new Map<string, string>();
    let refused = 0;
    let running = true;
    const senders = Array.from({ length: 8 }, async (_, sender) => {
      for (let n = 0; running; n++) {
        const id = `${sender}-${n}`;
        const answer = await timed(post(event(id)));
        if (answer.status === 201) acknowledged.set(id, answer.body.cursor);
        else {
          expectUnavailable(answer);
          refused++;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    });
    cleanups.push(() => {
      running = false;
      return Promise.allSettled(senders);
    });
    await expect.poll(() => acknowledged.size, PATIENT).toBeGreaterThan(200);
    await nats.kill('SIGKILL');
    await expect.poll(() => refused, PATIENT).toBeGreaterThan(20);
    const before = acknowledged.size;
    await nats.restart();
    await ingest.waitUntilReady();
    await expect.poll(() => acknowledged.size, PATIENT).toBeGreaterThan(before + 200);
    running = false;
    await Promise.all(senders);

    const sequences = new Map((await stored()).map((m) => [m.event.id, m.sequence]));
    for (const [id, cursor] of acknowledged) expect(sequences.get(id)).toBe(sequenceOf(cursor));
  });

  test('frozen (SIGSTOP): 503 in time; thawed: a repeat is stored once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-pid-'));
    cleanups.push(() => rm(folder, { recursive: true }));
    const pidFile = join(folder, 'nats.pid');
    const { post, stored } = await start({
      nats: { config: `pid_file: ${JSON.stringify(pidFile)}` },
    });
    const pid = Number(await readFile(pidFile, 'utf8'));
    await post(event('before'));
    await freeze(pid);
    expectUnavailable(await timed(post(event('frozen'))));
    process.kill(pid, 'SIGCONT');
    const again = await post(event('frozen'));
    expect(again).toMatchObject({ status: 201, body: { duplicate: true } });
    expect((await stored()).map((message) => message.event.id)).toEqual(['before', 'frozen']);
  });

  test('NATS comes back empty: 503 until there is a stream, then cursors of its epoch', async () => {
    const { nats, ingest, post } = await start();
    const old = (await post(event('1'))).body.cursor;
    await nats.kill('SIGKILL');
    await rm(nats.storeFolder, { recursive: true });
    await nats.restart();
    await expect
      .poll(() => readiness(ingest.url), PATIENT)
      .toMatchObject({ body: { checks: { nats: true, stream: false } } });
    expectUnavailable(await timed(post(event('2'))));
    await createStream(nats.url);
    await ingest.waitUntilReady();
    const fresh = (await post(event('1'))).body;
    expect(fresh.duplicate).toBe(false);
    expect(sequenceOf(fresh.cursor)).toBe(1);
    expect(fresh.cursor.split('-')[0]).not.toBe(old.split('-')[0]);
  });

  test('the stream is made anew while NATS stays: the next cursor has the new epoch', async () => {
    const { nats, post } = await start();
    const old = (await post(event('1'))).body.cursor;
    await post(event('2'));
    const connection = await connect({ servers: nats.url });
    await (await jetstreamManager(connection)).streams.delete(STREAM_NAME);
    await connection.close();
    await createStream(nats.url);
    const fresh = (await post(event('3'))).body.cursor;
    expect(sequenceOf(fresh)).toBe(1);
    expect(fresh.split('-')[0]).not.toBe(old.split('-')[0]);
  });
});

test('ingest, more appends than may wait: 429 for those, every 201 is stored', async () => {
  const env = { TIDEMARK_INGEST_APPENDS_MAX: '2', TIDEMARK_INGEST_BATCH_EVENTS_MAX: '2' };
  const { post, stored } = await start({ env });
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => post(event(`${n}`))));
  const refused = answers.filter(({ status }) => status !== 201);
  for (const { status, headers, body } of refused) {
    expect([status, headers.get('retry-after')]).toEqual([429, '1']);
    expect(body).toMatchObject({ code: 'limit_exceeded', retryable: true });
  }
  expect(refused.length).toBeGreaterThan(0);
  expect(await stored()).toHaveLength(answers.length - refused.length);
  expect((await post(event('afterwards'))).status).toBe(201);
});

describe('ingest, its own end', () => {
  test('SIGTERM under load: every request that was taken is answered, exit code 0', async () => {
    const { ingest, post, stored } = await start();
    const posts = Array.from({ length: 200 }, (_, n) => post(event(`${n}`)).catch(() => undefined));
    await Promise.race(posts);
    expect(await ingest.kill('SIGTERM')).toBe(0);
    const answers = (await Promise.all(posts)).filter((answer) => answer !== undefined);
    const ids = new Set((await stored()).map((message) => message.event.id));
    expect(answers.length).toBeGreaterThan(0);
    for (const { status, body } of answers) {
      expect(status).toBe(201);
      expect(ids).toContain(body.id);
    }
    expect(ids.size).toBe(answers.length);
  });

  test('SIGTERM while it waits for NATS: exit code 0', async () => {
    const ingest = await startService('ingest', {
      natsUrl: 'nats://127.0.0.1:1',
      waitUntilReady: false,
    });
    cleanups.push(ingest.stop);
    expect(await ingest.kill('SIGTERM')).toBe(0);
  });

  test.each([
    ['no secret', { TIDEMARK_TOKEN_SECRET: '' }, 'TIDEMARK_TOKEN_SECRET is not set'],
    ['a short secret', { TIDEMARK_TOKEN_SECRET: 'short' }, 'has 5 bytes'],
    [
      'a batch that could never be appended',
      { TIDEMARK_INGEST_APPENDS_MAX: '10' },
      'TIDEMARK_INGEST_APPENDS_MAX must be at least',
    ],
    ['a wrong port', { TIDEMARK_INGEST_PORT: '99999' }, 'TIDEMARK_INGEST_PORT=99999'],
  ])('%s: one clear line, exit code 1', async (_, env, line) => {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const child = spawn(process.execPath, ['services/ingest/dist/main.js'], {
      cwd: root,
      env: { PATH: process.env.PATH, ...env },
    });
    let text = '';
    child.stderr.on('data', (chunk) => {
      text += chunk;
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(1);
    expect(text).toContain(line);
    expect(text).not.toContain('    at ');
  });
});
