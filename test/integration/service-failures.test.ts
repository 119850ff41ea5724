import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { TRANSPORTS, untilEvents } from '../support/clients.ts';
import {
  ids,
  metric,
  nameOf,
  namesOf,
  publishUntil,
  type System,
  series,
  startSystem,
  storeArchived,
  streamEvents,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/* Replay and ingest are killed in the middle of their work. */

const TOPIC = 'failures';

let system: System | undefined;
afterEach(async () => {
  await system?.stop();
  system = undefined;
});

async function start(env: Record<string, string> = {}): Promise<System> {
  system = await startSystem({ env });
  return system;
}

/** Most of the events are in the archive only. */
const SMALL_TIERS = {
  TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '100',
  TIDEMARK_STREAM_MAX_BYTES: '300000',
};

/** So many and so large that no kernel takes them all for a client that does not read. */
const LARGE_EVENTS = 2000;
const LARGE_TEXT = 'x'.repeat(10_000);

describe('replay killed (SIGKILL)', () => {
  test('in the middle of deep catch-ups: they wait, and go on exactly when it is back', async () => {
    const system = await start({ ...SMALL_TIERS, TIDEMARK_STREAM_MAX_BYTES: '4000000' });
    const { listen, replay, gateway, open } = system;
    const count = LARGE_EVENTS;
    const large = series(TOPIC, 1, count).map((event) => ({ ...event, data: LARGE_TEXT }));
    for (let start = 0; start < count; start += 80) {
      await storeArchived(system, large.slice(start, start + 80));
    }
    const slow = open();
    await slow.first('welcome');
    slow.send({ type: 'subscribe', id: 's', topics: [TOPIC], after: 'earliest' });
    await until(() => slow.all('event').length > 100);
    slow.socket.pause();
    const before = slow.all('event').length;
    expect(before).toBeLessThan(count / 2);

    await replay.kill('SIGKILL');
    slow.socket.resume();
    const returning = TRANSPORTS.map((transport) =>
      listen(transport, { topics: TOPIC, after: slow.all('event')[99]?.cursor ?? '' }),
    );
    for (const listener of returning) await until(() => listener.cursor !== undefined);
    // What the sockets and the kernel held arrives; the rest cannot.
    await sleep(1000);
    const stuck = slow.all('event').length;
    expect(stuck).toBeLessThan(count);
    expect(slow.all('error')).toEqual([]);

    await replay.restart();
    await until(() => slow.all('live').length > 0);
    expect(slow.all('event').map(({ event }) => event.id)).toEqual(ids(1, count));
    expect(slow.all('gap')).toEqual([]);
    for (const listener of returning) {
      await until(() => listener.live);
      expect(listener.ids).toEqual(ids(101, count));
      expect(listener.received.filter(({ type }) => type !== 'event')).toHaveLength(1);
      expect(listener.connections).toBe(1);
    }
    expect(await metric(gateway, 'gateway_gaps_total')).toBe(0);
  });

  test('for longer than a catch-up waits: told to come back, and complete in the end', async () => {
    const system = await start({ ...SMALL_TIERS, TIDEMARK_GATEWAY_ARCHIVE_WAIT_MS: '300' });
    const { listen, replay } = system;
    const stored = await storeArchived(system, series(TOPIC, 1, 2000));
    await replay.kill('SIGKILL');
    const starts = [stored[9]?.cursor ?? '', 'earliest', '2001-01-01T00:00:00Z'];
    const listeners = TRANSPORTS.flatMap((transport) =>
      starts.map((after) => listen(transport, { topics: TOPIC, after })),
    );
    for (const { received } of listeners) {
      await until(() => received.some(({ type }) => type === 'error'));
      expect(received[0]).toMatchObject({ type: 'error', code: 'unavailable', retryable: true });
    }
    await replay.restart();
    for (const [index, listener] of listeners.entries()) {
      await until(() => listener.live);
      expect(listener.ids).toEqual(ids(index % starts.length === 0 ? 11 : 1, 2000));
      expect(listener.gaps).toEqual([]);
    }
  });

  test('while only the stream is needed: nobody notices', async () => {
    const { listen, publisher, replay, nats } = await start({
      ...SMALL_TIERS,
      TIDEMARK_STREAM_MAX_BYTES: '100000000',
    });
    const stored = await publisher.storeAll(series(TOPIC, 1, 3000));
    expect((await streamState(nats.url)).messages).toBe(3000);
    await replay.kill('SIGKILL');
    const starts = ['earliest', stored[999]?.cursor ?? '', '2001-01-01T00:00:00Z'];
    const listeners = TRANSPORTS.flatMap((transport) =>
      starts.map((after) => listen(transport, { topics: `${TOPIC},other.>`, after })),
    );
    await publisher.storeAll(series(TOPIC, 3001, 3100));
    for (const [index, listener] of listeners.entries()) {
      const first = index % starts.length === 1 ? 1001 : 1;
      await untilEvents(listener, 3100 - first + 1);
      expect(listener.ids).toEqual(ids(first, 3100));
      expect(listener.received.filter(({ type }) => type !== 'event')).toHaveLength(1);
    }
  });
});

describe('ingest killed (SIGKILL)', () => {
  test('in the middle of posts, twice: every 201 is in the stream once, clients have all', async () => {
    const { listen, publisher, ingest, nats } = await start();
    const listeners = TRANSPORTS.map((transport) =>
      listen(transport, { topics: '>', after: 'earliest' }),
    );
    let done = false;
    const publishing = ['a', 'b', 'c', 'd'].map((name) =>
      publishUntil(() => done, `${TOPIC}.${name}`, publisher),
    );
    const [witness] = listeners;
    for (let kill = 1; kill <= 3; kill++) {
      const before = witness?.ids.length ?? 0;
      await until(() => (witness?.ids.length ?? 0) > before + 150);
      if (kill === 3) break;
      const refused = publisher.refusals.length;
      await ingest.kill('SIGKILL');
      await until(() => publisher.refusals.length > refused);
      await ingest.restart();
    }
    done = true;
    const acknowledged = (await Promise.all(publishing)).flat();

    const stored = (await streamEvents(nats.url)).map(nameOf);
    expect(stored.toSorted()).toEqual(acknowledged.sort());
    for (const listener of listeners) {
      await untilEvents(listener, stored.length);
      expect(namesOf(listener)).toEqual(stored);
      expect(listener.connections).toBe(1);
    }
    // No answer from one that is dead, 503 from one that has only begun.
    expect(publisher.refusals.filter((status) => status !== 0 && status !== 503)).toEqual([]);
  });
});
