import { parseCursor } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Listener, TRANSPORTS } from '../support/clients.ts';
import { erase, filesWith } from '../support/erasures.ts';
import type { NewEvent } from '../support/publisher.ts';
import type { Service } from '../support/services.ts';
import {
  ids,
  type System,
  startSystem,
  storeArchived,
  streamState,
  untilHead,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { ask, askLines, askPage, untilProjected } from './replay-setup.ts';

/*
 * PROTOCOL.md section 13.3, from each place that events are read from: the first gateway has all in its tail, the
 * second one reads the archive and, while no replay service runs, the stream. A second replay service has an archive
 * of its own.
 */

let system: System;
let second: Service;

beforeAll(async () => {
  system = await startSystem();
  await system.startGateway({ TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '1' });
  second = await system.startReplay();
  await second.waitUntilReady();
});
afterAll(() => system?.stop());

function secretOf(topic: string, n: number): string {
  return `secret-${topic}-${n}-of-a-person`;
}

function event(topic: string, n: number, more: object = {}): NewEvent {
  const data = { n, text: secretOf(topic, n) };
  return { id: String(n), source: '/tests', type: 't', topic, data, ...more };
}

/** Stores events whose content can be found in files. @returns their cursors */
async function storeSecrets(topic: string, count: number): Promise<string[]> {
  const all = Array.from({ length: count }, (_, index) => event(topic, index + 1));
  const stored = await storeArchived(system, all);
  await untilProjected(second, parseCursor(stored.at(-1)?.cursor ?? '').sequence);
  await untilHead(system);
  await until(() => filesWith(secretOf(topic, 1), system, [system.replay, second]).length >= 3);
  return stored.map(({ cursor }) => cursor);
}

async function caughtUp(listener: Listener): Promise<Listener> {
  await until(
    () => listener.live,
    () => JSON.stringify(listener.received.at(-1)),
  );
  return listener;
}

/** Reads a topic in every way. @returns the ids, which must be the same everywhere */
async function readEverywhere(topic: string): Promise<readonly string[]> {
  const all: (readonly string[])[] = [];
  for (const transport of TRANSPORTS) {
    for (const { url } of system.gateways) {
      const listener = await caughtUp(
        system.listen(transport, { topics: topic, after: 'earliest', urls: [url] }),
      );
      expect(listener.gaps).toEqual([]);
      all.push(listener.ids);
      await listener.stop();
    }
  }
  for (const replay of [system.replay, second]) {
    const { items, gaps } = await askPage(replay, `/v1/events?topics=${topic}&limit=1000`);
    expect(gaps).toEqual([]);
    all.push(items.map((item) => String(item.event.id)));
    const lines = await askLines(replay, `/v1/events?topics=${topic}`);
    all.push(lines.flatMap((line) => (line as { event?: { id: string } }).event?.id ?? []));
  }
  for (const one of all) expect(one).toEqual(all[0]);
  return all[0] ?? [];
}

/** Waits until no file has the content of these events, in the stream and in both archives. */
async function untilGone(topic: string, numbers: readonly number[]): Promise<void> {
  for (const n of numbers) {
    const left = () => filesWith(secretOf(topic, n), system, [system.replay, second]);
    await until(
      () => left().length === 0,
      () => `${secretOf(topic, n)} is in ${left()}`,
    );
  }
}

function without(count: number, ...gone: number[]): string[] {
  return ids(1, count).filter((id) => !gone.includes(Number(id)));
}

/** Erases something, and waits until the second replay service, which may be a moment behind, has done its part. */
async function eraseEverywhere(target: object) {
  const answer = await erase(system.replay, target);
  const path = `/v1/admin/erasures/${answer.cursor}`;
  await until(async () => {
    if (answer.cursor === null) return true;
    const { status, text } = await ask(second, path, { scope: 'admin' });
    return status === 200 && JSON.parse(text).complete;
  }, 'the second one');
  return answer;
}

describe('erasure of one event', () => {
  test('by its cursor: nothing shows it, no disk has it, and all others stay', async () => {
    const cursors = await storeSecrets('one', 30);
    expect(await readEverywhere('one')).toEqual(ids(1, 30));
    const before = await streamState(system.nats.url);
    const answer = await eraseEverywhere({ cursor: cursors[9] });
    expect(answer).toMatchObject({ status: 200, events: 1, complete: true });
    await untilGone('one', [10]);
    expect(await readEverywhere('one')).toEqual(without(30, 10));
    expect(filesWith(secretOf('one', 11), system, [system.replay, second]).length).toBeGreaterThan(
      2,
    );
    for (const replay of [system.replay, second]) {
      expect((await ask(replay, `/v1/events/${cursors[9]}`)).status).toBe(404);
      const { items } = JSON.parse((await ask(replay, '/v1/topics?topics=one')).text);
      expect(items).toEqual([{ topic: 'one', count: 29, first: cursors[0], last: cursors[29] }]);
    }
    const after = await streamState(system.nats.url);
    // One is gone, and its record and its notice have come.
    expect(after).toMatchObject({ messages: before.messages + 1, last: before.last + 2 });
  });

  test('its cursor: goes on as a start, over both transports and for history', async () => {
    const cursors = await storeSecrets('start', 5);
    await eraseEverywhere({ cursor: cursors[2] });
    for (const transport of TRANSPORTS) {
      const listener = await caughtUp(
        system.listen(transport, { topics: 'start', after: cursors[2] ?? '' }),
      );
      expect(listener.ids).toEqual(['4', '5']);
      expect(listener.gaps).toEqual([]);
    }
    const page = await askPage(system.replay, `/v1/events?topics=start&after=${cursors[2]}`);
    expect(page.items).toHaveLength(2);
  });

  test('the last of its topic: head, list of topics and conditions name the one before', async () => {
    const cursors = await storeSecrets('last', 3);
    await eraseEverywhere({ cursor: cursors[2] });
    await untilGone('last', [3]);
    const scope = { scope: 'history:> subscribe:>' };
    for (const service of [system.replay, second, system.gateway]) {
      const head = JSON.parse((await ask(service, '/v1/head?topics=last', scope)).text);
      expect(head.last).toBe(cursors[1]);
    }
    for (const { url } of system.gateways) {
      const listener = await caughtUp(
        system.listen('sse', { topics: 'last', after: 'last', urls: [url] }),
      );
      const last = listener.received.flatMap((one) => (one.type === 'last' ? one.event.id : []));
      expect(last).toEqual(['2']);
      await listener.stop();
    }
    const post = (match: string) =>
      fetch(`${system.ingest.url}/v1/events`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${system.token}`,
          'content-type': 'application/json',
          'if-match': `"${match}"`,
        },
        body: JSON.stringify(event('last', 4)),
      });
    const refused = await post(cursors[2] ?? '');
    expect(refused.status).toBe(412);
    expect(await refused.json()).toMatchObject({ cursor: cursors[1] });
    expect((await post(cursors[1] ?? '')).status).toBe(201);
  });

  test('the same again, at either service: the same record, and nothing is wrong', async () => {
    const cursors = await storeSecrets('again', 3);
    const first = await erase(system.replay, { cursor: cursors[0] });
    const { last } = await streamState(system.nats.url);
    for (const replay of [system.replay, second]) {
      const again = await erase(replay, { cursor: cursors[0] });
      expect(again).toEqual({ ...first, status: 200, complete: true });
    }
    expect((await streamState(system.nats.url)).last).toBe(last);
  });

  test('record: an event without the content, at its cursor, on the reserved topic', async () => {
    const cursors = await storeSecrets('record', 2);
    const listener = await caughtUp(system.listen('websocket', { topics: 'tidemark.>' }));
    const { cursor } = await erase(system.replay, { cursor: cursors[0] }, { reason: 'Art. 17' });
    await until(() => listener.events.length === 2);
    const [received, notice] = listener.events;
    expect(received).toMatchObject({
      cursor,
      event: {
        topic: 'tidemark.erasures',
        type: 'tidemark.erasure',
        publisher: 'operator',
        data: { sequences: [parseCursor(cursors[0] ?? '').sequence], reason: 'Art. 17' },
      },
    });
    expect(notice?.event).toMatchObject({
      topic: 'tidemark.erased.record',
      type: 'tidemark.erased',
      data: { record: cursor, cursors: [cursors[0]] },
    });
    expect(JSON.stringify([received, notice])).not.toContain('secret');
    const status = await ask(system.replay, `/v1/admin/erasures/${cursor}`, { scope: 'admin' });
    expect(JSON.parse(status.text)).toEqual({ cursor, events: 1, complete: true });
    const audit = system.replay.logs.filter(({ msg }) => msg === 'erasing');
    expect(audit.at(-1)).toMatchObject({
      audit: true,
      reason: 'Art. 17',
      by: 'operator',
      cursors: [cursor],
    });
  });

  test('sent again within the window: 410, and nothing is stored', async () => {
    const cursors = await storeSecrets('repeat', 2);
    await eraseEverywhere({ cursor: cursors[1] });
    const { last } = await streamState(system.nats.url);
    for (const body of [event('repeat', 2), [event('repeat', 1), event('repeat', 2)]]) {
      const batch = Array.isArray(body);
      const items = batch ? body.map((one) => ({ specversion: '1.0', ...one })) : body;
      const answer = await fetch(`${system.ingest.url}/v1/events`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${system.token}`,
          'content-type': batch ? 'application/cloudevents-batch+json' : 'application/json',
        },
        body: JSON.stringify(items),
      });
      expect(answer.status).toBe(410);
      const { code, faults } = (await answer.json()) as { code: string; faults?: object[] };
      expect(code).toBe('erased');
      if (batch) expect(faults).toMatchObject([{ path: '[1]' }]);
    }
    expect((await streamState(system.nats.url)).last).toBe(last);
    expect(await readEverywhere('repeat')).toEqual(['1']);
  });
});

describe('erasure by names', () => {
  test('source and id: all events with them, whatever their topics; the same again: nothing is wrong', async () => {
    await storeSecrets('names.a', 3);
    await storeSecrets('names.b', 3);
    const other = { ...event('names.a', 2), source: '/other' };
    await storeArchived(system, [other]);
    const names = { source: '/tests', id: '2' };
    // Other tests have used these names on other topics.
    const answer = await eraseEverywhere(names);
    expect(answer).toMatchObject({ status: 200, complete: true });
    expect(answer.events).toBeGreaterThanOrEqual(2);
    expect(await readEverywhere('names.b')).toEqual(['1', '3']);
    expect(await readEverywhere('names.a')).toEqual(['1', '3', '2']);
    const again = await eraseEverywhere(names);
    expect(again).toEqual({ status: 200, cursor: null, events: 0, complete: true });
  });

  test('topic: everything before the record; what comes later stays, and can be erased too', async () => {
    await storeSecrets('whole', 40);
    await storeSecrets('whole.other', 2);
    const first = await eraseEverywhere({ topic: 'whole' });
    expect(first).toMatchObject({ status: 200, events: 40, complete: true });
    await untilGone('whole', [1, 2, 39, 40]);
    expect(await readEverywhere('whole')).toEqual([]);
    expect(await readEverywhere('whole.other')).toEqual(['1', '2']);
    expect(await eraseEverywhere({ topic: 'whole' })).toEqual({ ...first });
    await storeArchived(system, [event('whole', 41)]);
    expect(await readEverywhere('whole')).toEqual(['41']);
    const next = await eraseEverywhere({ topic: 'whole' });
    expect(next).toMatchObject({ status: 200, events: 1, complete: true });
    expect(next.cursor).not.toBe(first.cursor);
    expect(await readEverywhere('whole')).toEqual([]);
  });
});

describe('bad input', () => {
  test.each([
    ['no target', {}, 400, 'invalid_query'],
    ['two targets', { cursor: 'a-1', topic: 'a' }, 400, 'invalid_query'],
    ['id alone', { id: '1' }, 400, 'invalid_query'],
    ['a pattern', { topic: 'a.*' }, 400, 'invalid_topic'],
    ['a topic of the servers', { topic: 'tidemark.erasures' }, 400, 'invalid_topic'],
    ['no cursor', { cursor: 'x' }, 400, 'invalid_cursor'],
    ['a cursor of another log', { cursor: 'other-1' }, 404, 'not_found'],
  ])('%s: a typed error, and nothing changes', async (_, target, status, code) => {
    const { last } = await streamState(system.nats.url);
    expect(await erase(system.replay, target)).toMatchObject({ status, code });
    expect((await streamState(system.nats.url)).last).toBe(last);
  });

  test('no reason, a cursor beyond the end, a record, a token without admin: refused', async () => {
    const [cursor] = await storeSecrets('kept', 1);
    const { epoch } = parseCursor(cursor ?? '');
    const beyond = { cursor: `${epoch}-999999` };
    expect(await erase(system.replay, { cursor }, { reason: '' })).toMatchObject({ status: 400 });
    expect(await erase(system.replay, beyond)).toMatchObject({ status: 404 });
    const scope = { scope: 'history:> publish:> subscribe:>' };
    expect(await erase(system.replay, { cursor }, scope)).toMatchObject({ status: 403 });
    const done = await erase(system.replay, { topic: 'nothing.here' });
    expect(done).toMatchObject({ status: 200, events: 0, complete: true });
    expect(await erase(system.replay, { cursor: done.cursor })).toMatchObject({ status: 403 });
    expect(await readEverywhere('kept')).toEqual(['1']);
  });

  test('an event on a topic of the servers: refused by ingest and gateway', async () => {
    const body = event('tidemark.erasures', 1);
    const answer = await fetch(`${system.ingest.url}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${system.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({
      code: 'forbidden',
      faults: [{ path: 'topic' }],
    });
    const client = system.open();
    client.send({ type: 'publish', id: 'p', event: body });
    expect(await client.first('error', 'p')).toMatchObject({ code: 'forbidden' });
  });
});

test('from the stream, while no replay service runs: erased events are neither shown nor a gap', async () => {
  const cursors = await storeSecrets('streamed', 30);
  await erase(system.replay, { cursor: cursors[14] });
  await untilGone('streamed', [15]);
  await system.replay.kill();
  await second.kill();
  const [, small] = system.gateways;
  for (const [after, expected] of [
    [cursors[0], without(30, 1, 15)],
    [cursors[14], without(30, ...ids(1, 15).map(Number))],
    [cursors[13], without(30, ...ids(1, 15).map(Number))],
  ] as const) {
    const listener = await caughtUp(
      system.listen('sse', { topics: 'streamed', after: after ?? '', urls: [small?.url ?? ''] }),
    );
    expect(listener.ids).toEqual(expected);
    expect(listener.gaps).toEqual([]);
  }
});
