import { TOPIC_BYTES_MAX } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import {
  type ArchivedEvent,
  decodePage,
  encodePage,
  PAGE_BYTES_MAX,
  PAGE_EVENTS_MAX,
} from './archive-pages.ts';

/** What a server takes that is not configured otherwise. */
const NATS_PAYLOAD_MAX = 1024 * 1024;

function pageOf(events: readonly ArchivedEvent[]) {
  const state = { epoch: 'e', firstSequence: 1, lastSequence: Number.MAX_SAFE_INTEGER };
  return { state, events, through: Number.MAX_SAFE_INTEGER, missing: [] };
}

test('page: as many events as may be, each of another topic, all as long as may be: fits a message', () => {
  const json = 'x'.repeat(Math.floor(PAGE_BYTES_MAX / PAGE_EVENTS_MAX));
  const events = Array.from({ length: PAGE_EVENTS_MAX }, (_, index) => ({
    sequence: Number.MAX_SAFE_INTEGER - PAGE_EVENTS_MAX + index,
    topic: String(index).padStart(TOPIC_BYTES_MAX, 't'),
    timeMs: Date.now(),
    json,
  }));
  expect(encodePage(pageOf(events)).length).toBeLessThan(NATS_PAYLOAD_MAX);
});

test('page: text of every width, and more of it than before: comes out as it went in', () => {
  const texts = ['', 'a', 'é', '€', '😀', 'é'.repeat(PAGE_BYTES_MAX), '€'.repeat(1000), 'z'];
  const events = texts.map((json, index) => ({
    sequence: index + 1,
    topic: `t.${index % 3}`,
    timeMs: index,
    json,
  }));
  const { events: decoded, ...rest } = decodePage(encodePage(pageOf(events)), (place, json) => ({
    ...place,
    json: Buffer.from(json).toString(),
  }));
  expect(decoded).toEqual(events);
  expect(rest).toEqual({ ...pageOf([]), events: undefined });
});
