import { createLogger, Metrics } from '@tidemark/telemetry';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ArchiveStore } from '../archive/archive-store.ts';
import type { InboxChanges } from './changes.ts';
import type { Inboxes } from './inboxes.ts';
import { InboxKeeper } from './keeper.ts';

const INBOXES = 2000;

const logger = createLogger('test', 'silent');
let store: ArchiveStore;

beforeEach(() => {
  store = new ArchiveStore(':memory:', logger);
  store.archive.begin({ epoch: 'e' }, 1);
  const events = Array.from({ length: INBOXES }, (_, index) => {
    const topic = `inbox.user${index}`;
    return { sequence: index + 1, timeMs: Date.now(), topic, type: 't', source: '/s', json: '{}' };
  });
  store.archive.appendEvents(events, [], INBOXES);
});

afterEach(() => store.archive.close());

test('a sweep of many inboxes: reads no two parts in one turn of the event loop', async () => {
  const { topics } = store.archive;
  const read = topics.listEntries.bind(topics);
  let turn = 0;
  const timer = setInterval(() => turn++, 1);
  const turns: number[] = [];
  vi.spyOn(topics, 'listEntries').mockImplementation((names) => {
    turns.push(turn);
    return read(names);
  });
  const stopping = new AbortController();
  const keeper = new InboxKeeper({
    store,
    logger,
    inboxes: {} as Inboxes,
    changes: {} as InboxChanges,
    metrics: new Metrics('test'),
    signal: stopping.signal,
    inboxKeepSeconds: 3600,
    streamMaxAgeSeconds: 3600,
    streamMaxBytes: 0,
  });
  keeper.noteStream({ epoch: 'e', firstSequence: 1, lastSequence: INBOXES });
  await vi.waitFor(() => expect(turns.length).toBeGreaterThan(INBOXES / 200));
  clearInterval(timer);
  stopping.abort();
  expect(new Set(turns).size).toBe(turns.length);
});
