import { Limits } from '@tidemark/http';
import { createLogger, Metrics } from '@tidemark/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Archive } from '../archive/archive.ts';
import { type FoundPage, type LongPollOptions, waitForPage } from './long-poll.ts';
import { readPage } from './pages.ts';
import { type HistoryQuery, parseHistoryQuery } from './query.ts';
import { resolveRange } from './range.ts';
import type { Read } from './reads.ts';
import { Waits } from './waits.ts';

const LIMIT_MAX = 100;

let archive: Archive;
beforeEach(() => {
  archive = new Archive(':memory:', createLogger('test', 'silent'));
  archive.begin({ epoch: 'e' }, 1);
});
afterEach(() => archive.close());

const metrics = new Metrics('test', { defaults: false });
const waits = new Waits({
  limits: new Limits(metrics),
  metrics,
  confirm: () => {},
  waitsPerUserMax: 10,
  waitsMax: 10,
  signal: new AbortController().signal,
});

function append(topic: string): void {
  const sequence = (archive.bounds?.lastSequence ?? 0) + 1;
  const event = { sequence, timeMs: 1, topic, type: 't', source: '/s', json: '{}' };
  archive.appendEvents([event], [], sequence);
  waits.noteWritten([event], []);
}

function source(readBounds: LongPollOptions['readBounds']): LongPollOptions {
  const snapshot = () => ({ archive, bounds: archive.bounds });
  return {
    waits,
    readBounds,
    store: { snapshot },
    progress: {},
    confirm: () => {},
    isElsewhere: () => false,
    pageEventsMax: LIMIT_MAX,
  } as unknown as LongPollOptions;
}

const read = {
  principal: { subject: 'a', grants: [], admin: false, expiresAtMs: Number.POSITIVE_INFINITY },
  signal: new AbortController().signal,
  response: {},
  runStep: async <T>(step: () => T) => step(),
  leavePlace: () => {},
  takeBytes: () => {},
} as unknown as Read;

async function firstPage(query: HistoryQuery, options: LongPollOptions): Promise<FoundPage> {
  const range = await resolveRange(query, options);
  const { runStep, takeBytes } = read;
  return { range, page: await readPage(range, query, { limitMax: LIMIT_MAX, runStep, takeBytes }) };
}

test('cursor beyond the end: the stream is asked once, however many events wake the request', async () => {
  append('a');
  let asked = 0;
  const options = source(async () => {
    asked++;
    return { epoch: 'e', firstSequence: 1, lastSequence: archive.bounds?.lastSequence ?? 0 };
  });
  const query = parseHistoryQuery({ after: 'e-5', wait: '5s' }, LIMIT_MAX);
  const first = await firstPage(query, options);
  expect(asked).toBe(1);
  const waiting = waitForPage(read, query, { options, first });
  for (let sequence = 2; sequence <= 6; sequence++) {
    append('a');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { page } = await waiting;
  expect(page.next).toBe('e-6');
  expect(asked).toBe(1);
});
