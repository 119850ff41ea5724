import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Listener, TRANSPORTS, untilEvents } from '../support/clients.ts';
import type { NewEvent } from '../support/publisher.ts';
import {
  metric,
  type System,
  sequenceOf,
  startSystem,
  storeArchived,
  streamState,
  untilHead,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * PROTOCOL.md section 6.9, from each place that events are read from. The tail holds 200 events, the stream
 * some 700 of 300 bytes, the archive everything.
 */

const TAIL_EVENTS = 200;
const ALL = 3000;
const TYPES = ['order.paid', 'order.shipped', 'invoice.sent', 'order'];

/** What each filter lets through. */
const FILTERS: readonly [types: string, test: RegExp][] = [
  ['order.paid', /^order\.paid$/],
  ['order.*', /^order\./],
  ['order', /^order$/],
  ['invoice*,order.shipped', /^invoice|^order\.shipped$/],
  ['unknown,unknown.*', /^unknown/],
  ['*', /^/],
];

let system: System;
let cursors: string[];
let stored: NewEvent[];

beforeAll(async () => {
  system = await startSystem({
    gateways: 2,
    env: {
      TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: String(TAIL_EVENTS),
      TIDEMARK_STREAM_MAX_BYTES: '300000',
      TIDEMARK_GATEWAY_HEARTBEAT_MS: '300',
    },
  });
  stored = Array.from({ length: ALL }, (_, index) => event(index + 1));
  cursors = (await storeArchived(system, stored)).map(({ cursor }) => cursor);
  await untilHead(system);
});
afterAll(() => system.stop());

/** The types come in no order, and seldom `order.paid`. */
function event(n: number, type = TYPES[n % 50 === 0 ? 0 : 1 + (n % 3)] ?? ''): NewEvent {
  const data = { n, type: 'order.paid', text: 'lorem ipsum dolor sit amet '.repeat(6) };
  return { data, id: String(n), source: '/tests', topic: 'shop', type };
}

function idsOf(test: RegExp, after = 0): string[] {
  return stored.filter(({ id, type }) => Number(id) > after && test.test(type)).map(({ id }) => id);
}

async function untilLive(listener: Listener): Promise<void> {
  await until(
    () => listener.live,
    () => `live over ${listener.transport}: ${JSON.stringify(listener.received.at(-1))}`,
  );
}

test('types: what the following tests stand on: stream and tail hold less than there is', async () => {
  const { first, last } = await streamState(system.nats.url);
  expect(last).toBe(ALL);
  expect(first).toBeGreaterThan(1500);
  expect(first).toBeLessThan(ALL - TAIL_EVENTS - 200);
});

describe.each(TRANSPORTS)('types over %s', (transport) => {
  const listen = (types: string, after: string) => {
    return system.listen(transport, { topics: 'shop', types, after });
  };

  test.each(FILTERS)(
    '%s from archive, stream and tail: what a filter by hand keeps',
    async (types, kept) => {
      for (const after of [0, ALL - 300, ALL - 50]) {
        const listener = listen(types, after === 0 ? 'earliest' : (cursors[after - 1] ?? ''));
        await untilLive(listener);
        expect(listener.ids).toEqual(idsOf(kept, after));
        expect(listener.gaps).toEqual([]);
        // `live` says how far it has come, whatever was left out.
        const { cursor = '' } = listener;
        expect(sequenceOf(cursor)).toBe(ALL);
        await listener.stop();
      }
    },
  );

  test('history, with the same types: the same events', async () => {
    const listener = listen('order.p*', 'earliest');
    await untilLive(listener);
    const headers = { authorization: `Bearer ${system.token}` };
    const url = `${system.replay.url}/v1/events?topics=shop&type=order.p*&limit=1000`;
    const page = (await (await fetch(url, { headers })).json()) as {
      items: { event: { id: string } }[];
    };
    expect(page.items.map((item) => item.event.id)).toEqual(listener.ids);
    expect(listener.ids.length).toBe(ALL / 50);
    await listener.stop();
  });
});

test('types: equal filters in any order: one group of each transport', async () => {
  const [gateway] = system.gateways;
  if (!gateway) throw new Error('There is a gateway.');
  const groups = () => metric(gateway, 'gateway_subscriber_groups');
  // Those of the tests before end when the gateway has seen their clients leave.
  await until(async () => (await groups()) === 0);
  const lists = ['order.paid,invoice.*', 'invoice.*,order.paid', 'invoice.x,order.paid,invoice.*'];
  const listeners = TRANSPORTS.flatMap((transport) =>
    lists.map((types) => {
      return system.listen(transport, { topics: 'shop', types, urls: [gateway.url] });
    }),
  );
  for (const listener of listeners) await untilLive(listener);
  expect(await groups()).toBe(2);
  await Promise.all(listeners.map((listener) => listener.stop()));
});

test('types, live and across a reconnect: each once, and heartbeats pass what is left out', async () => {
  const listeners = TRANSPORTS.map((transport) => {
    const urls = [...system.gateways].map(({ url }) => url);
    return system.listen(transport, { topics: 'shop', types: 'order.p*', urls });
  });
  for (const listener of listeners) await untilLive(listener);
  const publish = async (from: number, count: number, type: string) => {
    const events = Array.from({ length: count }, (_, index) => event(from + index, type));
    return (await storeArchived(system, events)).at(-1)?.cursor ?? '';
  };
  await publish(10_001, 5, 'order.paid');
  const leftOut = await publish(20_001, 500, 'invoice.sent');
  for (const listener of listeners) {
    await untilEvents(listener, 5);
    await until(
      () => listener.idleCursors.includes(leftOut),
      'a heartbeat behind what is left out',
    );
  }
  await system.gateways[0]?.stop();
  const last = await publish(30_001, 5, 'order.placed');
  for (const listener of listeners) {
    await untilEvents(listener, 10);
    const expected = [10_001, 30_001].flatMap((from) =>
      [0, 1, 2, 3, 4].map((n) => String(from + n)),
    );
    expect(listener.ids).toEqual(expected);
    expect(listener.connections).toBeGreaterThan(1);
    expect(listener.cursor).toBe(last);
  }
});

test('types while no replay runs: from the stream: what a filter by hand keeps', async () => {
  await system.replay.stop();
  const { first, last } = await streamState(system.nats.url);
  const after = `${cursors[0]?.split('-')[0]}-${first}`;
  const urls = system.gateways.slice(1).map(({ url }) => url);
  for (const transport of TRANSPORTS) {
    const all = system.listen(transport, { topics: 'shop', after, urls });
    await untilLive(all);
    expect(all.ids.length).toBe(last - first);
    for (const [types, kept] of FILTERS) {
      const listener = system.listen(transport, { topics: 'shop', types, after, urls });
      await untilLive(listener);
      const wanted = all.events.filter((one) => kept.test(one.event.type));
      expect(listener.events).toEqual(wanted);
      expect(sequenceOf(listener.cursor ?? '')).toBe(last);
      await listener.stop();
    }
    await all.stop();
  }
});
