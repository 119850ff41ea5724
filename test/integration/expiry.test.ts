import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Listener, TRANSPORTS } from '../support/clients.ts';
import type { NewEvent } from '../support/publisher.ts';
import {
  ids,
  metric,
  type System,
  sequenceOf,
  startSystem,
  storeArchived,
  untilHead,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { ask, askLines, askPage } from './replay-setup.ts';

/*
 * `expires` (PROTOCOL.md section 3.1), from each place that events are read from: the first gateway has all in its
 * tail, the second one reads the archive and, while no replay service runs, the stream.
 */

const ALL = 60;
const LIVES_MS = 6000;

let system: System;
let expiresMs: number;
let cursors: string[];
let live: Listener;

/** The even ones expire, and so does the only event of another topic, which is the last. */
function event(n: number): NewEvent {
  const expires = n % 2 === 0 ? { expires: new Date(expiresMs).toISOString() } : {};
  const topic = n === ALL ? 'short.only' : 'short.lived';
  return { id: String(n), source: '/tests', type: 't', topic, ...expires, data: { n } };
}

const ODD = ids(1, ALL).filter((id) => Number(id) % 2 === 1);

beforeAll(async () => {
  system = await startSystem();
  await system.startGateway({ TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '1' });
  live = system.listen('websocket', { topics: 'short.>' });
  await until(() => live.live, 'live');
  expiresMs = Date.now() + LIVES_MS;
  const stored = await storeArchived(
    system,
    Array.from({ length: ALL }, (_, index) => event(index + 1)),
  );
  cursors = stored.map(({ cursor }) => cursor);
  await untilHead(system);
});
afterAll(() => system?.stop());

function listen(transport: (typeof TRANSPORTS)[number], gateway: number): Listener {
  const urls = [system.gateways[gateway]?.url ?? ''];
  return system.listen(transport, { topics: 'short.>', after: 'earliest', urls });
}

async function caughtUp(listener: Listener): Promise<Listener> {
  await until(
    () => listener.live,
    () => JSON.stringify(listener.received.at(-1)),
  );
  return listener;
}

test('before: every reader gets all of them, live and from everywhere', async () => {
  for (const gateway of [0, 1]) {
    const listener = await caughtUp(listen('websocket', gateway));
    expect(listener.ids).toEqual(ids(1, ALL));
  }
  expect((await askPage(system.replay, '/v1/events?topics=short.>')).items).toHaveLength(ALL);
  await until(() => live.ids.length === ALL, 'the live ones');
  expect(live.ids).toEqual(ids(1, ALL));
  expect(Date.now()).toBeLessThan(expiresMs);
});

describe('after', () => {
  beforeAll(() => sleep(Math.max(0, expiresMs - Date.now())));

  test.each(TRANSPORTS)(
    'catch-up over %s, from tail and archive: without them, up to the head',
    async (transport) => {
      for (const gateway of [0, 1]) {
        const listener = await caughtUp(listen(transport, gateway));
        expect(listener.ids).toEqual(ODD);
        expect(listener.gaps).toEqual([]);
        expect(listener.received.at(-1)).toMatchObject({ type: 'live', cursor: cursors.at(-1) });
      }
    },
  );

  test('history, export, single event, topics and head: nothing shows them', async () => {
    const { replay } = system;
    for (const order of ['asc', 'desc']) {
      const { items, gaps, complete } = await askPage(
        replay,
        `/v1/events?topics=short.>&order=${order}`,
      );
      expect(items.map(({ event: { id } }) => Number(id)).sort((a, b) => a - b)).toEqual(
        ODD.map(Number),
      );
      expect({ gaps, complete }).toEqual({ gaps: [], complete: true });
    }
    const lines = await askLines(replay, '/v1/events?topics=short.>');
    expect(lines).toHaveLength(ODD.length + 1);
    expect(lines.at(-1)).toMatchObject({ complete: true, next: cursors.at(-1) });
    expect((await ask(replay, `/v1/events/${cursors[1]}`)).status).toBe(404);
    expect((await ask(replay, `/v1/events/${cursors[0]}`)).status).toBe(200);
    const topics = JSON.parse((await ask(replay, '/v1/topics?topics=short.>')).text);
    const [first, last] = [cursors[0], cursors[ALL - 2]];
    expect(topics.items).toEqual([{ topic: 'short.lived', count: ODD.length, first, last }]);
    for (const service of [replay, system.gateway]) {
      for (const [topic, newest] of [
        ['short.lived', last],
        ['short.only', null],
      ]) {
        const scope = { scope: 'subscribe:> history:>' };
        const head = JSON.parse((await ask(service, `/v1/head?topics=${topic}`, scope)).text);
        expect(head).toEqual({ cursor: cursors.at(-1), last: newest });
      }
    }
  });

  test('after last, from tail and archive, and in history: the newest that has not expired', async () => {
    for (const { url } of system.gateways) {
      const listener = await caughtUp(
        system.listen('websocket', { topics: 'short.>', after: 'last', urls: [url] }),
      );
      const last = listener.received.flatMap((one) => (one.type === 'last' ? one.event.id : []));
      expect(last).toEqual([String(ALL - 1)]);
    }
    const { items } = await askPage(system.replay, '/v1/events?topics=short.>&after=last');
    expect(items.map(({ event: { id } }) => id)).toEqual([String(ALL - 1)]);
  });

  test('a cursor of one that has expired: is a start like any other', async () => {
    const listener = await caughtUp(
      system.listen('sse', { topics: 'short.>', after: cursors[1] ?? '' }),
    );
    expect(listener.ids).toEqual(ODD.slice(1));
    const page = await askPage(system.replay, `/v1/events?topics=short.>&after=${cursors[1]}`);
    expect(page.items.map(({ cursor }) => sequenceOf(cursor))[0]).toBe(3);
  });

  test('published with an expires that is over, or no time: invalid_event that names it, and nothing is stored', async () => {
    const before = await metric(system.replay, 'projection_position');
    for (const expires of [new Date().toISOString(), 'tomorrow', '2999-02-30T00:00:00Z']) {
      const body = { ...event(1), id: 'late', expires };
      const answer = await fetch(`${system.ingest.url}/v1/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${system.token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      expect(answer.status).toBe(400);
      const { code, faults } = (await answer.json()) as { code: string; faults: object[] };
      expect({ code, faults }).toMatchObject({
        code: 'invalid_event',
        faults: [{ path: 'expires' }],
      });
      const client = system.open();
      client.send({ type: 'publish', id: 'p', event: body });
      expect(await client.first('error', 'p')).toMatchObject({ code: 'invalid_event' });
    }
    expect(await metric(system.replay, 'projection_position')).toBe(before);
  });

  test('from the stream, while no replay service runs: without them as well', async () => {
    await system.replay.kill();
    const listener = await caughtUp(listen('sse', 1));
    expect(listener.ids).toEqual(ODD);
  });
});
