import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  appendDirectly,
  metric,
  type System,
  startSystem,
  streamEvents,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/* `npm run example:read-model`: a service that is killed twice, and whose model is the log all the same. */

const ROOT = new URL('../..', import.meta.url);
const HISTORY_EVENTS = 30_000;
const LIVE_EVENTS = 300;
const TOPICS = 50;

let system: System;
let folder: string;
const started: ChildProcess[] = [];
beforeAll(async () => {
  system = await startSystem();
  folder = await mkdtemp(join(tmpdir(), 'tidemark-read-model-'));
});
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL');
  await system?.stop();
  await rm(folder, { recursive: true, force: true });
});

function numberedOrders(first: number, count: number) {
  return Array.from({ length: count }, (_, index) => {
    const n = first + index;
    const data = { amount: n % 17, text: 'x'.repeat(200) };
    return { id: String(n), source: '/shop', type: 'paid', topic: `orders.${n % TOPICS}`, data };
  });
}

/** Starts the service; the lines that it prints. */
function startService(): { child: ChildProcess; lines: string[] } {
  const { replay, gateway, token } = system;
  const file = join(folder, 'model.db');
  const child = spawn(
    process.execPath,
    ['examples/read-model/main.mjs', '--topics', 'orders.*', '--file', file],
    {
      cwd: ROOT,
      env: { REPLAY_URL: replay.url, GATEWAY_URL: gateway.url, TOKEN: token },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  started.push(child);
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return { child, lines };
}

/** The number in the last line that tells one. */
function seenBy(lines: readonly string[]): number {
  return Number(
    /^(\d+) events$/.exec(lines.findLast((line) => line.endsWith(' events')) ?? '')?.[1],
  );
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

function readModel() {
  const file = new Database(join(folder, 'model.db'), { readonly: true });
  try {
    return {
      events: file.prepare('SELECT events FROM position').pluck().get() as number,
      topics: file.prepare('SELECT * FROM topics ORDER BY topic').all(),
    };
  } finally {
    file.close();
  }
}

/** The same model, from the stream itself. */
async function modelOfLog() {
  const topics = new Map<string, { topic: string; events: number; amount: number; last: string }>();
  for (const { topic, id, data } of await streamEvents(system.nats.url)) {
    if (!topic.startsWith('orders.')) continue;
    const { events, amount } = topics.get(topic) ?? { events: 0, amount: 0 };
    const added = (data as { amount: number }).amount;
    topics.set(topic, { topic, events: events + 1, amount: amount + added, last: id });
  }
  return [...topics.values()].sort((left, right) => (left.topic < right.topic ? -1 : 1));
}

test('read model, killed while it rebuilds and while it is live: goes on where it was, and is the log', async () => {
  await appendDirectly(system.nats.url, numberedOrders(0, HISTORY_EVENTS));
  const { last } = await streamState(system.nats.url);
  await until(
    async () => (await metric(system.replay, 'projection_position')) >= last,
    'the archive',
  );

  const first = startService();
  await until(() => seenBy(first.lines) > 0, 'the first events');
  await kill(first.child);
  const { events } = readModel();
  expect(events).toBeGreaterThan(0);
  expect(events, 'it was killed in the middle').toBeLessThan(HISTORY_EVENTS);

  const second = startService();
  await until(() => second.lines.includes('live'), 'live');
  expect(second.lines[0]).toMatch(/goes on from \w+-\d+\.$/);
  const more = numberedOrders(HISTORY_EVENTS, LIVE_EVENTS);
  const publishing = system.publisher.storeInOrder(more);
  await until(() => seenBy(second.lines) >= HISTORY_EVENTS + 20, 'live events');
  await kill(second.child);
  expect(readModel().events).toBeGreaterThan(HISTORY_EVENTS);
  expect(readModel().events).toBeLessThan(HISTORY_EVENTS + LIVE_EVENTS);
  await publishing;
  // Of no concern to it.
  await system.publisher.store({ id: '1', source: '/shop', type: 'other', topic: 'other.1' });

  const third = startService();
  const all = HISTORY_EVENTS + LIVE_EVENTS;
  await until(() => readModel().events >= all && third.lines.includes('live'), 'everything');
  await system.publisher.storeInOrder(numberedOrders(all, 10));
  await until(() => readModel().events >= all + 10, 'what came live');
  await kill(third.child);
  expect(readModel().topics).toEqual(await modelOfLog());
});
