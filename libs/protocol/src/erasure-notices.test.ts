import { expect, test } from 'vitest';
import {
  noticesOf,
  readErasureNotice,
  subjectOfNotices,
  toNoticeEvent,
} from './erasure-notices.ts';
import { parseEvent } from './events.ts';
import { requirePublishable } from './reserved-topics.ts';

const DAY_MS = 24 * 3600 * 1000;
const TIMES = { recordedMs: DAY_MS, nowMs: 2 * DAY_MS };

test.each([
  { topic: 'news.x', record: 'log-7' },
  { topic: 'news.x', record: 'log-7', cursors: ['log-3', 'log-4'] },
])(
  'notice: a valid event that only services may write, and is read as what it tells: %j',
  (notice) => {
    const event = toNoticeEvent(notice, TIMES);
    expect(parseEvent(event)).toEqual(event);
    expect(readErasureNotice(event)).toEqual(notice);
    expect(toNoticeEvent(notice, { ...TIMES, nowMs: 3 * DAY_MS })).toEqual(event);
    expect(() => requirePublishable(event ?? expect.fail(), 0)).toThrow('reserved');
  },
);

test('notice: after its time, or of a topic that is too long: there is none', () => {
  const notice = { topic: 'a', record: 'log-7' };
  expect(toNoticeEvent(notice, { recordedMs: 0, nowMs: 30 * DAY_MS })).toBeUndefined();
  expect(toNoticeEvent(notice, { recordedMs: 0, nowMs: 30 * DAY_MS - 1 })).toBeDefined();
  expect(toNoticeEvent({ ...notice, topic: 'x'.repeat(184) }, TIMES)).toBeDefined();
  expect(toNoticeEvent({ ...notice, topic: 'x'.repeat(185) }, TIMES)).toBeUndefined();
  expect(toNoticeEvent({ ...notice, topic: `a${'.a'.repeat(14)}` }, TIMES)).toBeUndefined();
});

test.each([
  ['another type', { type: 'other' }],
  ['another topic', { topic: 'news.x' }],
  ['no cursor', { data: { record: 'x' } }],
  ['cursors that are none', { data: { record: 'log-7', cursors: ['x'] } }],
  ['no data', { data: undefined }],
])('notice: %s: is none', (_, more) => {
  const event = toNoticeEvent({ topic: 'a', record: 'log-7' }, TIMES);
  expect(readErasureNotice({ ...event, ...more })).toBeUndefined();
});

test('patterns of notices: there and back', () => {
  expect(noticesOf('news.>')).toBe('tidemark.erased.news.>');
  expect(subjectOfNotices('tidemark.erased.news.>')).toBe('news.>');
  expect(subjectOfNotices('tidemark.erasures')).toBeUndefined();
});
