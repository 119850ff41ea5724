import { type ArchivedEvent, TOPIC_BYTES_MAX } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { decodePage, encodePage, PAGE_BYTES_MAX, PAGE_EVENTS_MAX } from './archive-pages.ts';

/** What a server takes that is not configured otherwise. */
const NATS_PAYLOAD_MAX = 1024 * 1024;

function pageOf(events: readonly ArchivedEvent[]) {
  const bounds = { epoch: 'e', firstSequence: 1, lastSequence: Number.MAX_SAFE_INTEGER };
  return { bounds, events, through: Number.MAX_SAFE_INTEGER, missing: [] };
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
  const { events: decoded, ...rest } = decodePage(encodePage(pageOf(events)), (header, json) => ({
    ...header,
    json: Buffer.from(json).toString(),
  }));
  expect(decoded).toEqual(events);
  expect(rest).toEqual({ ...pageOf([]), events: undefined });
});

test.each([
  ['nothing', ''],
  ['no header', 'text'],
  ['a header that is none', '{}\n'],
  ['a column of texts', `${header({ sequences: ['1'] })}\n{}`],
  ['columns of different lengths', `${header({ timesMs: [] })}\n{}`],
  ['a topic that the header does not name', `${header({ topicIndexes: [1] })}\n{}`],
  ['less JSON than the header says', `${header({})}\n{`],
  ['more JSON than the header says', `${header({})}\n{}}`],
])('page: an answer with %s: unavailable', (_name, answer) => {
  expect(() => decodePage(Buffer.from(answer), ({ sequence }) => sequence)).toThrow(
    expect.objectContaining({ code: 'unavailable' }),
  );
});

/** The header of a page with one event of two bytes. */
function header(parts: object): string {
  return JSON.stringify({
    state: { epoch: 'e', firstSequence: 1, lastSequence: 1 },
    through: 1,
    missing: [],
    topics: ['a'],
    sequences: [1],
    topicIndexes: [0],
    timesMs: [1],
    bytes: [2],
    ...parts,
  });
}
