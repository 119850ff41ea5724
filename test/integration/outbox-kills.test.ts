import { setTimeout as sleep } from 'node:timers/promises';
import type { OutboxEvent } from '@tidemark/publisher/outbox';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../simulation/random.ts';
import { DATABASES, startOutbox, startOutboxRelay, type TestOutbox } from '../support/outbox.ts';
import type { Service } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * A relay is killed again and again while rows are written, and sometimes ingest or NATS with it, or it stays away for
 * longer than the stream recognises repeats. Afterwards each topic has what was committed, once and in its order.
 */

const SEED = Number(process.env.OUTBOX_SEED ?? 1);
const POINTS = process.env.ALL_TESTS === 'yes' ? 200 : 20;

/** The stream recognises a repeat for so long; the relay counts on a quarter of it. */
const WINDOW_SECONDS = 8;

const RELAY_TIMES = {
  TIDEMARK_RELAY_RECOGNISED_SECONDS: String(WINDOW_SECONDS / 4),
  TIDEMARK_RELAY_REQUEST_TIMEOUT_MS: '1000',
  TIDEMARK_RELAY_LOCK_SECONDS: '2',
};

const TOPICS = ['a', 'b', 'c', 'd'].map((name) => `kills.${name}`);

/** Longest life of a relay after it listens, in ms. Most of its work on what has gathered is in this time. */
const LIFE_MS_MAX = 400;

let system: System;
beforeAll(async () => {
  system = await startSystem({
    env: { TIDEMARK_STREAM_DUPLICATE_WINDOW_SECONDS: String(WINDOW_SECONDS) },
  });
});
afterAll(() => system.stop());

/** Writes transactions until it is told to stop, and keeps what it has committed. */
function startWriter(outbox: TestOutbox, prefix: string, random: Random) {
  const committed = new Map<string, string[]>(TOPICS.map((topic) => [prefix + topic, []]));
  let stopping = false;
  let count = 0;
  const write = async () => {
    while (!stopping) {
      const events: OutboxEvent[] = Array.from({ length: random.between(1, 6) }, () => ({
        topic: prefix + random.pick(TOPICS),
        type: 'kills',
        id: String(++count),
        data: { text: 'x'.repeat(random.between(0, 400)) },
      }));
      await outbox.add(...events);
      for (const { topic = '', id = '' } of events) committed.get(topic)?.push(id);
      await sleep(random.between(0, 10));
    }
  };
  const done = write();
  return {
    committed,
    async stop() {
      stopping = true;
      await done;
    },
  };
}

/** The ids of each topic, in the order of the stream. */
async function readStream(pattern: string): Promise<Map<string, string[]>> {
  const headers = { authorization: `Bearer ${system.token}`, accept: 'application/x-ndjson' };
  const url = `${system.replay.url}/v1/events?topics=${encodeURIComponent(pattern)}`;
  const text = await (await fetch(url, { headers })).text();
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.pop()).toMatchObject({ complete: true });
  const found = new Map<string, string[]>();
  for (const { event } of lines) {
    found.set(event.topic, [...(found.get(event.topic) ?? []), event.id]);
  }
  return found;
}

async function killPoint(relay: Service<'relay'>, random: Random): Promise<void> {
  await relay.restart();
  await sleep(random.between(0, LIFE_MS_MAX));
  const also = random.next();
  await Promise.all([
    relay.kill('SIGKILL'),
    ...(also < 0.1 ? [system.ingest.kill('SIGKILL')] : []),
    ...(also >= 0.1 && also < 0.2 ? [system.nats.kill('SIGKILL')] : []),
  ]);
  if (also < 0.1) await system.ingest.restart();
  if (also >= 0.1 && also < 0.2) await system.nats.restart();
  if (also >= 0.93) await sleep((WINDOW_SECONDS + 1) * 1000);
}

describe.each(DATABASES)('kills of a relay of an outbox in %s', (database) => {
  let outbox: TestOutbox;
  beforeAll(async () => {
    outbox = await startOutbox(database);
  });
  afterAll(() => outbox?.stop());

  test(`${POINTS} kills while rows are written: each row is in the stream once, in the order of its topic`, {
    timeout: POINTS * 15_000 + 120_000,
  }, async () => {
    const random = new Random(SEED);
    const prefix = `shop.${database}.`;
    const relay = await startOutboxRelay(outbox, system, RELAY_TIMES);
    const writer = startWriter(outbox, prefix, new Random(SEED + 1));
    let killedInWork = 0;
    for (let point = 0; point < POINTS; point++) {
      await killPoint(relay, random);
      if ((await outbox.rows()).some(({ attempted }) => attempted)) killedInWork++;
    }
    await writer.stop();
    await relay.restart();
    let rows = await outbox.rows();
    await until(
      async () => {
        rows = await outbox.rows();
        return rows.length === 0;
      },
      () => `no rows: ${JSON.stringify({ rows: rows.slice(0, 5), logs: relay.logs.slice(-10) })}`,
      // On a busy machine a batch of one topic after the other may take longer than a request may, again and again.
      240_000,
    );
    await relay.stop();
    const found = await readStream(`${prefix}>`);
    for (const [topic, ids] of writer.committed) expect(found.get(topic), topic).toEqual(ids);
    // Without such kills the test would show nothing.
    expect(killedInWork).toBeGreaterThan(POINTS / 20);
  });
});
