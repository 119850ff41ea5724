/*
 * Measures a relay: how fast it empties an outbox of 10,000 rows of 300 bytes, and how long a row takes from its commit
 * to the stream. Everything runs on this machine; PostgreSQL waits for the disk, as it does by default.
 *
 *   npm run build && node test/bench/outbox.ts        (Node 24 or newer)
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OutboxEvent } from '@tidemark/publisher/outbox';
import { DATABASES, startOutbox, startOutboxRelay, type TestOutbox } from '../support/outbox.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

const ROWS = 10_000;
const TRANSACTION_ROWS = 100;
const TIMED_ROWS = 500;
const PAUSE_MS = 10;

const system = await startSystem();
for (const database of DATABASES) {
  const outbox = await startOutbox(database, { fsync: 'on' });
  for (const topics of [1, 100, 5000]) await measureRate(database, outbox, topics);
  await measureDelay(database, outbox, system);
  await outbox.stop();
}
await system.stop();

async function measureRate(name: string, outbox: TestOutbox, topics: number): Promise<void> {
  for (let at = 0; at < ROWS; at += TRANSACTION_ROWS) {
    const events = Array.from({ length: TRANSACTION_ROWS }, (_, index) =>
      toEvent(`shop.rate.${topics}.${(at + index) % topics}`),
    );
    await outbox.add(...events);
  }
  const startMs = performance.now();
  const relay = await startOutboxRelay(outbox, system);
  const listeningMs = performance.now();
  await until(async () => (await outbox.count()) === 0, 'an empty outbox', 120_000);
  const seconds = (performance.now() - listeningMs) / 1000;
  await relay.stop();
  console.log(
    `${name}, ${topics} topics: ${Math.round(ROWS / seconds)} rows/s (${seconds.toFixed(2)} s, and ${Math.round(listeningMs - startMs)} ms for the start)`,
  );
}

/** Each row is timed from the return of its commit to its arrival at a subscriber. */
async function measureDelay(name: string, outbox: TestOutbox, { gateway, token }: System) {
  const relay = await startOutboxRelay(outbox, system);
  const arrived = new Map<string, number>();
  const leaving = new AbortController();
  const answer = await fetch(`${gateway.url}/v1/sse?topics=shop.delay`, {
    headers: { authorization: `Bearer ${token}` },
    signal: leaving.signal,
  });
  const reading = read(answer, arrived).catch(() => {});
  const committed = new Map<string, number>();
  for (let n = 0; n < TIMED_ROWS; n++) {
    const event = { ...toEvent('shop.delay'), id: `${name} ${n}` };
    await outbox.add(event);
    committed.set(event.id, performance.now());
    await sleep(PAUSE_MS);
  }
  await until(() => arrived.size === TIMED_ROWS, 'all to arrive');
  leaving.abort();
  await reading;
  await relay.stop();
  const delays = [...committed]
    .map(([id, ms]) => (arrived.get(id) ?? 0) - ms)
    .sort((a, b) => a - b);
  const at = (part: number) => delays[Math.floor(delays.length * part)]?.toFixed(1);
  console.log(`${name}, commit to subscriber: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
}

async function read(answer: Response, arrived: Map<string, number>): Promise<void> {
  let text = '';
  for await (const chunk of answer.body ?? []) {
    text += Buffer.from(chunk).toString('utf8');
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const id = /^data: .*"id":"([^"]+)"/m.exec(block)?.[1];
      if (id) arrived.set(id, performance.now());
    }
  }
}

function toEvent(topic: string): OutboxEvent {
  return { topic, type: 'bench', data: { text: 'x'.repeat(290) } };
}
