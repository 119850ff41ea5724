import { get, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { System } from '../support/system.ts';
import { metric, numbered } from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

const TOPICS = 50;
const STEADY_CLIENTS = 40;

/** Events of one request, and the pause between two requests: 200 events a second. */
const BATCH_EVENTS = 20;
const BATCH_PAUSE_MS = 100;

/** More than SQLite's cache of 64 MiB holds. */
const FILL_EVENTS = 200_000;
const FILL_BATCH_EVENTS = 1000;

const VISIT_PAUSE_MS = 50;
const HISTORY_PAUSE_MS = 200;
const EXPORT_PAUSE_MS = 5000;
const STALL_PAUSE_MS = 3000;

/** What the load has done, to show that it did something. */
export interface LoadCounts {
  published: number;
  received: number;
  visits: number;
  pages: number;
  exports: number;
  stalls: number;
}

/**
 * Users of every kind, until the signal is aborted: publishers, clients that stay, clients that come with
 * an older cursor and leave in the middle, readers of history and exports, and clients that read nothing.
 * It keeps no event, so that the process that measures does not grow itself.
 */
export async function runLoad(system: System, counts: LoadCounts, signal: AbortSignal) {
  const cursors: string[] = [];
  const steady = Array.from({ length: STEADY_CLIENTS }, (_, index) =>
    stay(system, counts, { pattern: `soak.${index % TOPICS}`, signal }),
  );
  await Promise.all([
    ...steady,
    repeat(BATCH_PAUSE_MS, signal, async (round) => {
      const events = Array.from({ length: BATCH_EVENTS }, (_, index) => {
        const n = FILL_EVENTS + round * BATCH_EVENTS + index;
        return numbered(`soak.${n % TOPICS}`, n);
      });
      const stored = await system.publisher.storeAll(events);
      counts.published += stored.length;
      cursors.push(stored[0]?.cursor ?? '');
      if (cursors.length > 500) cursors.shift();
    }),
    repeat(VISIT_PAUSE_MS, signal, async (round) => {
      const after = cursors[(round * 31) % Math.max(cursors.length, 1)] ?? 'earliest';
      await visit(system, counts, {
        after,
        pattern: round % 3 === 0 ? '>' : `soak.${round % TOPICS}`,
      });
      counts.visits++;
    }),
    repeat(HISTORY_PAUSE_MS, signal, async (round) => {
      await read(system, `topics=soak.${round % TOPICS}&order=desc&limit=100`, 'application/json');
      counts.pages++;
    }),
    repeat(EXPORT_PAUSE_MS, signal, async (round) => {
      await read(system, `topics=soak.${round % TOPICS}&limit=1000`, 'application/x-ndjson');
      counts.exports++;
    }),
    repeat(STALL_PAUSE_MS, signal, async () => {
      const { response, close } = await openStream(system, 'topics=>&after=earliest');
      response.pause();
      await sleep(STALL_PAUSE_MS);
      close();
      counts.stalls++;
    }),
  ]);
}

/**
 * Fills the archive and reads it once, so that SQLite's cache of pages is as large as it gets before the
 * measurements begin.
 */
export async function fillCaches(system: System): Promise<void> {
  for (let n = 0; n < FILL_EVENTS; n += FILL_BATCH_EVENTS) {
    const events = Array.from({ length: FILL_BATCH_EVENTS }, (_, index) =>
      numbered(`soak.${index % TOPICS}`, n + index),
    );
    await system.publisher.storeAll(events);
  }
  await until(async () => (await metric(system.replay, 'projection_position')) >= FILL_EVENTS);
  await read(system, 'topics=>', 'application/x-ndjson');
}

async function repeat(
  pauseMs: number,
  signal: AbortSignal,
  act: (round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; !signal.aborted; round++) {
    await act(round);
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}

/** An SSE client that stays; its stream ends with the soak. */
async function stay(
  system: System,
  counts: LoadCounts,
  { pattern, signal }: { readonly pattern: string; readonly signal: AbortSignal },
): Promise<void> {
  const { response, close } = await openStream(system, `topics=${pattern}`);
  signal.addEventListener('abort', close, { once: true });
  try {
    for await (const chunk of response) if (String(chunk).includes('data: ')) counts.received++;
  } catch (error) {
    if (!signal.aborted) throw error;
    return;
  }
  throw new Error('A stream ended that nobody had closed.');
}

/** A WebSocket client that comes with a cursor and leaves after its first messages. */
async function visit(
  { gateway, token }: System,
  counts: LoadCounts,
  { after, pattern }: { readonly after: string; readonly pattern: string },
): Promise<void> {
  const client = new WebSocketClient(gateway.url, { token });
  try {
    client.send({ type: 'subscribe', id: 'v', topics: [pattern], after });
    await client.first('subscribed', 'v');
    counts.received++;
  } finally {
    await client.close();
  }
}

async function read({ replay, token }: System, query: string, accept: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, accept };
  const response = await fetch(`${replay.url}/v1/events?${query}`, { headers });
  await response.text();
  if (!response.ok) throw new Error(`History answered ${response.status}.`);
}

/** Not with `fetch`, whose pool would keep the socket. */
function openStream({ gateway, token }: System, query: string) {
  return new Promise<{ response: IncomingMessage; close: () => void }>((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const request = get(`${gateway.url}/v1/sse?${query}`, { headers, agent: false });
    request.on('response', (response) => {
      response.on('error', () => {});
      resolve({ response, close: () => request.destroy() });
    });
    request.on('error', reject);
  });
}
