import { parseCursor } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeToken, type Service } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { ask, untilProjected } from './replay-setup.ts';

/* `GET /v1/head` (PROTOCOL.md section 4.1). */

const APPENDS = 200;

let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system?.stop());

const SCOPE = { scope: 'subscribe:> history:>' };

async function head(service: Service, query = '', options = SCOPE) {
  const { status, headers, text } = await ask(service, `/v1/head${query}`, options);
  return { status, position: headers.get('tidemark-position'), body: JSON.parse(text) };
}

/** Resolves when ingest has acknowledged the event. */
async function append(topic: string): Promise<string> {
  const answer = await fetch(`${system.ingest.url}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${system.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'test', topic }),
  });
  expect(answer.status).toBe(201);
  return ((await answer.json()) as { cursor: string }).cursor;
}

async function publish(topic: string): Promise<string> {
  const cursor = await append(topic);
  await untilProjected(system.replay, parseCursor(cursor).sequence);
  return cursor;
}

describe('head', () => {
  test('the end of the log: the same at gateway and replay, and the cursor of the last append', async () => {
    const cursor = await publish('heads.plain');
    for (const service of [system.gateway, system.replay]) {
      expect(await head(service)).toEqual({ status: 200, position: cursor, body: { cursor } });
    }
  });

  test('at the gateway: never behind an append that was acknowledged before', async () => {
    for (let round = 0; round < APPENDS; round++) {
      const cursor = await append('heads.load');
      const { body } = await head(system.gateway);
      expect(parseCursor(body.cursor).sequence).toBeGreaterThanOrEqual(
        parseCursor(cursor).sequence,
      );
    }
  });

  test('with topics: the newest event of them, also of an older topic, or null', async () => {
    const first = await publish('heads.a.1');
    const second = await publish('heads.a.2');
    const other = await publish('heads.b');
    for (const service of [system.gateway, system.replay]) {
      const last = async (topics: string) => {
        const { status, body } = await head(service, `?topics=${topics}`);
        expect(status).toBe(200);
        expect(body.cursor).toBe(other);
        return body.last;
      };
      expect(await last('heads.a.*')).toBe(second);
      expect(await last('heads.a.1')).toBe(first);
      expect(await last('heads.a.1,heads.b')).toBe(other);
      expect(await last('>')).toBe(other);
      expect(await last('heads.none,*.none.>')).toBeNull();
    }
  });

  test('with topics, right after an append: the gateway waits until the archive has it', async () => {
    for (let round = 0; round < 20; round++) {
      const cursor = await append('heads.own');
      const { body } = await head(system.gateway, '?topics=heads.own');
      expect(body.last).toBe(cursor);
    }
  });

  test('without a grant on what is asked for: 403', async () => {
    const forbidden = { status: 403, body: { code: 'forbidden' } };
    for (const service of [system.gateway, system.replay]) {
      expect(await head(service, '', { scope: 'publish:>' })).toMatchObject(forbidden);
      for (const scope of ['subscribe:a', 'history:a']) {
        expect(await head(service, '', { scope })).toMatchObject({ status: 200 });
        expect(await head(service, '?topics=b', { scope })).toMatchObject(forbidden);
      }
    }
    expect(await head(system.gateway, '?topics=a', { scope: 'history:a' })).toMatchObject(
      forbidden,
    );
    expect(await head(system.replay, '?topics=a', { scope: 'subscribe:a' })).toMatchObject(
      forbidden,
    );
  });

  test.each([
    ['?topic=a', 'invalid_query'],
    ['?topics=a..b', 'invalid_pattern'],
    ['?topics=', 'invalid_'],
  ])('%s: 400 %s', async (query, code) => {
    for (const service of [system.gateway, system.replay]) {
      const { status, body } = await head(service, query);
      expect(status).toBe(400);
      expect(body.code).toContain(code);
    }
  });
});

test('head, the stream does not answer: 503 at the gateway, never a guess; the archive answers', async () => {
  const cursor = await publish('heads.away');
  await system.nats.kill();
  expect(await head(system.gateway)).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  const token = await makeToken('history:>');
  const answer = await fetch(`${system.replay.url}/v1/head?topics=heads.away`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(await answer.json()).toEqual({ cursor, last: cursor });
  await system.nats.restart();
  await until(async () => (await head(system.gateway)).status === 200, 'the head is known again');
  expect((await head(system.gateway)).body.cursor).toBe(cursor);
});
