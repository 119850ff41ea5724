import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { limitHits, makeToken, type Service, startService } from '../support/services.ts';
import {
  metric,
  type OutsideClient,
  type Page,
  type ReplayAlone,
  startReplayAlone,
  until,
  untilProjected,
} from './replay-setup.ts';

/* `GET /v1/events?wait=` (PROTOCOL.md section 11.1). */

const PER_USER = 4;
const TOTAL = 12;

let alone: ReplayAlone;
let client: OutsideClient;
let replay: Service;
let number = 0;

beforeAll(async () => {
  alone = await startReplayAlone({
    TIDEMARK_REPLAY_WAITS_PER_USER_MAX: String(PER_USER),
    TIDEMARK_REPLAY_WAITS_MAX: String(TOTAL),
    TIDEMARK_REPLAY_READS_PER_USER_MAX: '1',
  });
  ({ client, replay } = alone);
});
afterAll(() => alone?.stop());

async function store(topic: string, type = 'numbered', source = '/test'): Promise<number> {
  const [stored] = await client.publish([++number], () => ({ topic, type, source }));
  return stored?.sequence ?? 0;
}

interface Asking {
  readonly user?: string;
  readonly token?: string;
  readonly signal?: AbortSignal;
  readonly method?: string;
}

async function ask(query: string, { user = 'alice', token, signal, method = 'GET' }: Asking = {}) {
  const authorization = `Bearer ${token ?? (await makeToken('history:>', user))}`;
  const startMs = performance.now();
  const answer = await fetch(`${replay.url}/v1/events?${query}`, {
    method,
    headers: { authorization },
    ...(signal && { signal }),
  });
  const text = await answer.text();
  const ms = performance.now() - startMs;
  const position = answer.headers.get('tidemark-position');
  return { status: answer.status, page: JSON.parse(text || '{}') as Page, ms, position };
}

const waiting = () => metric(replay, 'history_waits');
const untilWaiting = (count: number) => until(async () => (await waiting()) === count);

/** A cursor behind everything. */
async function end(): Promise<string> {
  return (await ask('after=latest')).page.next;
}

describe('long poll', () => {
  test('something is there: at once', async () => {
    await untilProjected(replay, await store('polled.there'));
    const { page, ms } = await ask('topics=polled.there&wait=30s');
    expect(page.items).toHaveLength(1);
    expect(ms).toBeLessThan(5000);
  });

  test('nothing matches: until an event does; others wake nobody', async () => {
    const asked = ask(`topics=polled.a.*&type=right&source=/right&wait=30s&after=${await end()}`);
    await untilWaiting(1);
    await store('polled.b.1', 'right', '/right');
    await store('polled.a.1', 'wrong', '/right');
    await store('polled.a.1', 'right', '/wrong');
    await sleep(200);
    expect(await waiting()).toBe(1);
    const sequence = await store('polled.a.2', 'right', '/right');
    const { page, position } = await asked;
    expect(page.items.map(({ cursor }) => cursor.split('-')[1])).toEqual([String(sequence)]);
    expect(page).toMatchObject({ complete: true, next: position });
    expect(await waiting()).toBe(0);
  });

  test('types with * at their end: an event whose type begins so ends the wait', async () => {
    const asked = ask(`topics=polled.begin&type=order.*,x&wait=30s&after=${await end()}`);
    await untilWaiting(1);
    await store('polled.begin', 'order');
    await sleep(200);
    expect(await waiting()).toBe(1);
    const sequence = await store('polled.begin', 'order.paid');
    const { page, ms } = await asked;
    expect(page.items.map(({ cursor }) => cursor.split('-')[1])).toEqual([String(sequence)]);
    expect(ms).toBeLessThan(10_000);
  });

  test('nothing comes: an empty page after the time, whose next is past what did not match', async () => {
    const asked = ask(`topics=polled.none&wait=1s&after=${await end()}`);
    await untilWaiting(1);
    const sequence = await store('polled.other');
    const { status, page, ms } = await asked;
    expect(status).toBe(200);
    expect(page).toMatchObject({ items: [], gaps: [], complete: true });
    expect(page.next.split('-')[1]).toBe(String(sequence));
    expect(ms).toBeGreaterThan(900);
  });

  test('a reader that goes on at next under a write load: every event once, in order', async () => {
    let cursor = await end();
    const first = number + 1;
    const seen: unknown[] = [];
    const load = client.publish(
      Array.from({ length: 3000 }, (_, index) => first + index),
      (n) => ({ topic: n % 3 === 0 ? 'polled.load' : `polled.noise.${n}` }),
    );
    number += 3000;
    while (seen.length < 1000) {
      const { page } = await ask(`topics=polled.load&limit=7&wait=10s&after=${cursor}`);
      seen.push(...page.items.map(({ event }) => (event.data as { number: number }).number));
      cursor = page.next;
    }
    const stored = (await load).filter(({ topic }) => topic === 'polled.load');
    expect(seen).toEqual(stored.map(({ event }) => (event.data as { number: number }).number));
  });

  test('waits of one user: hold no read, are limited, and leave room for others', async () => {
    const after = await end();
    const leaving = new AbortController();
    const asking = (user: string) =>
      ask(`topics=polled.limits&wait=30s&after=${after}`, { user, signal: leaving.signal });
    const greedy = Array.from({ length: PER_USER }, () => asking('greedy').catch(() => undefined));
    await untilWaiting(PER_USER);
    expect(await asking('greedy')).toMatchObject({
      status: 429,
      page: { code: 'limit_exceeded' },
    });
    expect(await limitHits(replay, 'waits_per_user')).toBe(1);
    // At most one read at a time is allowed to a user.
    expect(await ask('limit=1', { user: 'greedy' })).toMatchObject({ status: 200 });
    const others = ['b', 'c', 'd'].map((user) => asking(user).catch(() => undefined));
    await untilWaiting(PER_USER + 3);
    leaving.abort();
    await Promise.all([...greedy, ...others]);
    await untilWaiting(0);
  });

  test('waits of many users: the total leaves room for those who have none', async () => {
    const after = await end();
    const leaving = new AbortController();
    const statuses: number[] = [];
    const asked = Array.from({ length: 4 * PER_USER }, (_, index) =>
      ask(`topics=polled.total&wait=30s&after=${after}`, {
        user: `many-${index % 4}`,
        signal: leaving.signal,
      }).then(
        ({ status }) => statuses.push(status),
        () => undefined,
      ),
    );
    await until(async () => statuses.length + (await waiting()) === 4 * PER_USER);
    expect(await waiting()).toBeLessThan(TOTAL);
    const own = ask(`topics=polled.total&wait=30s&after=${after}`, { user: 'newcomer' });
    await store('polled.total');
    expect((await own).page.items).toHaveLength(1);
    await Promise.all(asked);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    leaving.abort();
  });

  test('a token that expires while its request waits: 401 within moments', async () => {
    const token = await makeToken('history:>', 'short', 1);
    const { status, page, ms } = await ask('topics=polled.token&wait=30s&after=latest', { token });
    expect({ status, page }).toMatchObject({ status: 401, page: { code: 'token_expired' } });
    expect(ms).toBeLessThan(5000);
  });

  test('a token that is revoked while its request waits: 401 within moments', async () => {
    const gateway = await startService('gateway', { natsUrl: alone.natsUrl });
    try {
      const asked = ask('topics=polled.token&wait=30s&after=latest', { user: 'mallory' });
      await untilWaiting(1);
      const revoked = await fetch(`${gateway.url}/v1/admin/revocations`, {
        method: 'POST',
        headers: { authorization: `Bearer ${await makeToken('admin', 'operator')}` },
        body: JSON.stringify({ sub: 'mallory' }),
      });
      expect(revoked.status).toBe(204);
      const { status, page, ms } = await asked;
      expect({ status, page }).toMatchObject({ status: 401, page: { code: 'unauthenticated' } });
      expect(ms).toBeLessThan(10_000);
    } finally {
      await gateway.stop();
    }
  });

  test('a HEAD request: does not wait', async () => {
    const { status, ms } = await ask('topics=polled.none&wait=30s', { method: 'HEAD' });
    expect(status).toBe(200);
    expect(ms).toBeLessThan(5000);
  });

  test.each([
    ['wait=soon', 'invalid_query'],
    ['wait=61s', 'invalid_query'],
    ['wait=1s&order=desc', 'invalid_query'],
    ['wait=1s&before=a-1', 'invalid_query'],
    ['wait=1s&to=2026-01-01T00:00:00Z', 'invalid_query'],
    ['wait=1s&topics=*.*.*.*', 'invalid_pattern'],
  ])('%s: 400 %s', async (query, code) => {
    expect(await ask(query)).toMatchObject({ status: 400, page: { code } });
  });

  test('the log is replaced by another: those that wait are told the gap', async () => {
    const cursor = await end();
    const asked = ask(`topics=polled.epoch&wait=30s&after=${cursor}`);
    await untilWaiting(1);
    const manager = await client.manager();
    await manager.streams.delete('TIDEMARK_EVENTS');
    const { status, page } = await asked;
    expect(status).toBe(200);
    expect(page.gaps).toMatchObject([{ from: cursor, reason: 'epoch' }]);
  });

  test('SIGTERM: those that wait are answered at once, and the process ends', async () => {
    const asked = ask('topics=polled.stop&wait=30s&after=latest');
    await untilWaiting(1);
    const startMs = performance.now();
    const ended = replay.kill();
    expect((await asked).page).toMatchObject({ items: [], complete: true });
    expect(await ended).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(4000);
  });
});
