import { expect, test } from 'vitest';
import { readAnswer } from './answers.ts';

const STORED = { id: '1', source: '/s', topic: 't', cursor: 'e-1', duplicate: false };

function read(status: number, body: unknown, headers: Record<string, string> = {}, count = 1) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return () => readAnswer({ status, headers: new Headers(headers), text }, count);
}

test('answer of one event, and of a batch: is what was stored', () => {
  expect(read(201, STORED)()).toEqual([STORED]);
  expect(read(201, [STORED, STORED], {}, 2)()).toEqual([STORED, STORED]);
});

test.each<[string, number, unknown, number]>([
  ['a batch with another number of events', 201, [STORED], 2],
  ['one event in the place of a batch', 201, STORED, 2],
  ['a batch in the place of one event', 201, [STORED], 1],
  ['no cursor', 201, { ...STORED, cursor: undefined }, 1],
  ['another status', 200, STORED, 1],
  ['a page', 503, '<html>', 1],
  ['null', 500, 'null', 1],
  ['an error of another service', 400, { error: 'bad' }, 1],
])('answer with %s: says nothing about the event', (_, status, body, count) => {
  expect(read(status, body, {}, count)).toThrow(
    expect.objectContaining({ code: 'offline', retryable: true }),
  );
});

test('error of ingest: keeps its code, faults and cursor', () => {
  const body = {
    code: 'precondition_failed',
    message: 'The topic is at e-2.',
    retryable: false,
    cursor: null,
    faults: [{ path: 'x', message: 'y' }],
  };
  expect(read(412, body)).toThrow(expect.objectContaining(body));
});

test.each<[string, number | undefined]>([
  ['3', 3000],
  ['0', 0],
  ['soon', undefined],
  ['-1', 0],
])('Retry-After %s: is %s ms', (text, retryAfterMs) => {
  const body = { code: 'unavailable', message: '', retryable: true };
  expect(read(503, body, { 'retry-after': text })).toThrow(
    expect.objectContaining({ retryAfterMs }),
  );
});

test('Retry-After with a date: is the time until then', () => {
  const body = { code: 'unavailable', message: '', retryable: true };
  const date = new Date(Date.now() + 60_000).toUTCString();
  try {
    read(503, body, { 'retry-after': date })();
    expect.unreachable();
  } catch (error) {
    const { retryAfterMs } = error as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThan(30_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  }
});
