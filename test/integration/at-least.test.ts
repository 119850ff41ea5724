import { parseCursor } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freeze } from '../support/freeze.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { ask, metric, type Page, untilProjected } from './replay-setup.ts';

/* `atLeast` (PROTOCOL.md section 4.3). */

const WAIT_MS = 1500;
const ROUNDS = 30;

let system: System;
beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_AT_LEAST_WAIT_MS: String(WAIT_MS) } });
});
afterAll(() => system?.stop());

/** Resolves when ingest has acknowledged the event. */
async function append(topic: string): Promise<string> {
  const answer = await fetch(`${system.ingest.url}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${system.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'test', topic }),
  });
  return ((await answer.json()) as { cursor: string }).cursor;
}

async function read(path: string) {
  const startMs = performance.now();
  const { status, text, headers } = await ask(system.replay, path);
  const body = JSON.parse(text) as Page & { code?: string; last?: string; cursor?: string };
  return { status, body, headers, ms: performance.now() - startMs };
}

/** A cursor of the present log. */
async function end(): Promise<{ epoch: string; sequence: number }> {
  return parseCursor((await read('/v1/head')).body.cursor ?? '');
}

function subscribe(topics: string, atLeast: string) {
  const client = system.open();
  client.send({ type: 'subscribe', id: 's', topics: [topics], after: 'last', atLeast });
  return client;
}

describe('atLeast', () => {
  test('what was acknowledged a moment ago is in history, topics, the head and last events', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const topic = `own.${round}`;
      const cursor = await append(topic);
      const page = await read(`/v1/events?topics=${topic}&atLeast=${cursor}`);
      expect(page.body.items.map((item) => item.cursor)).toEqual([cursor]);
      const last = await append(topic);
      const state = await read(`/v1/events?topics=${topic}&after=last&atLeast=${last}`);
      expect(state.body.items.map((item) => item.cursor)).toEqual([last]);
      const next = await append(topic);
      const head = await read(`/v1/head?topics=${topic}&atLeast=${next}`);
      expect(head.body.last).toBe(next);
      const listed = await read(`/v1/topics?topics=${topic}&atLeast=${await append(topic)}`);
      expect(listed.body.items).toMatchObject([{ count: 4 }]);
      const live = await append(topic);
      const client = subscribe(topic, live);
      await client.first('live', 's');
      expect(client.all('last').map((one) => one.cursor)).toEqual([live]);
      await client.close();
    }
  });

  test('over SSE: the same, and whoever comes back with its cursor may repeat the URL', async () => {
    const cursor = await append('sse.own');
    const listen = async (headers: Record<string, string>) => {
      const leaving = new AbortController();
      const url = `${system.gateway.url}/v1/sse?topics=sse.own&after=last&atLeast=${cursor}`;
      const answer = await fetch(url, {
        headers: { authorization: `Bearer ${system.token}`, ...headers },
        signal: leaving.signal,
      });
      let text = '';
      for await (const bytes of answer.body ?? []) {
        text += Buffer.from(bytes).toString();
        if (text.includes('event: live')) break;
      }
      leaving.abort();
      return text;
    };
    expect(await listen({})).toContain('"topic":"sse.own"');
    const returned = await listen({ 'Last-Event-ID': cursor });
    expect(returned).toContain(`event: position\ndata: {"cursor":"${cursor}"}`);
    expect(returned).not.toContain('"topic":"sse.own"');
  });

  test('a cursor that the log does not have yet: waits, then 503 with Retry-After, or goes on once it comes', async () => {
    const { epoch, sequence } = await end();
    const missing = `${epoch}-${sequence + 1}`;
    for (const path of ['/v1/events?', '/v1/events?after=last&', '/v1/topics?', '/v1/head?']) {
      const { status, body, headers, ms } = await read(`${path}atLeast=${missing}`);
      expect([path, status, body.code]).toEqual([path, 503, 'unavailable']);
      expect(headers.get('retry-after')).toBe('1');
      expect(ms).toBeGreaterThanOrEqual(WAIT_MS - 50);
    }
    const client = subscribe('later.1', missing);
    const refused = await client.first('error', 's');
    expect(refused).toMatchObject({ code: 'unavailable', retryable: true });
    const waiting = read(`/v1/events?topics=later.1&atLeast=${missing}`);
    client.messages.length = 0;
    client.send({
      type: 'subscribe',
      id: 's',
      topics: ['later.1'],
      after: 'last',
      atLeast: missing,
    });
    expect(await append('later.1')).toBe(missing);
    expect((await waiting).body.items).toHaveLength(1);
    await client.first('live', 's');
    expect(client.all('last')).toHaveLength(1);
    await client.close();
  });

  test('wrong ones: typed errors, and nothing waits', async () => {
    const { epoch } = await end();
    for (const [query, code] of [
      ['atLeast=other-1', 'invalid_cursor'],
      ['atLeast=nonsense', 'invalid_cursor'],
      ['atLeast=', 'invalid_query'],
    ] as const) {
      for (const path of ['/v1/events', '/v1/topics', '/v1/head']) {
        const { status, body, ms } = await read(`${path}?${query}`);
        expect([path, query, status, body.code]).toEqual([path, query, 400, code]);
        expect(ms).toBeLessThan(WAIT_MS);
      }
    }
    const client = subscribe('a', 'other-1');
    expect(await client.first('error', 's')).toMatchObject({ code: 'invalid_cursor' });
    client.messages.length = 0;
    client.send({ type: 'subscribe', id: 's', topics: ['a'], atLeast: `${epoch}-1` });
    expect(await client.first('error', 's')).toMatchObject({ code: 'invalid_message' });
    await client.close();
    const sse = await fetch(`${system.gateway.url}/v1/sse?topics=a&atLeast=${epoch}-1`, {
      headers: { authorization: `Bearer ${system.token}` },
    });
    expect([sse.status, ((await sse.json()) as { code: string }).code]).toEqual([
      400,
      'invalid_query',
    ]);
  });

  test('an archive that stands still: a start at the last events waits for it', async () => {
    await freeze(system.replay.pid);
    let cursor: string;
    try {
      cursor = await append('still');
      const client = subscribe('still', cursor);
      expect(await client.first('error', 's')).toMatchObject({ code: 'unavailable' });
      await client.close();
    } finally {
      process.kill(system.replay.pid, 'SIGCONT');
    }
    await untilProjected(system.replay, parseCursor(cursor).sequence);
    await until(async () => (await metric(system.gateway, 'gateway_archives')) === 1);
    const client = subscribe('still', cursor);
    await client.first('live', 's');
    expect(client.all('last').map((one) => one.cursor)).toEqual([cursor]);
    await client.close();
  });
});
