import { describe, expect, test } from 'vitest';
import type { Span } from '../../api/types.ts';
import { stepOf } from './steps.ts';
import { layOut, readTraceparent } from './trace-rows.ts';

const span = (id: string, parent: string | null, startMs: number, durationMs: number): Span => ({
  ...{ id, parent, startMs, durationMs },
  ...{ service: 'tidemark-ingest', name: id, attributes: {}, error: false },
});

describe('layout of a trace', () => {
  test('each span is under its parent, siblings in the order of their begin', () => {
    const spans = [
      span('b', 'root', 5, 1),
      span('c', 'a', 3, 1),
      span('a', 'root', 2, 2),
      span('root', 'gone', 1, 10),
    ];
    const { rows, totalMs } = layOut(spans);
    expect(rows.map(({ span, depth }) => [span.id, depth])).toEqual([
      ...[
        ['root', 0],
        ['a', 1],
        ['c', 2],
        ['b', 1],
      ],
    ]);
    expect(totalMs).toBe(10);
    expect(rows[3]).toMatchObject({ afterMs: 4, left: 40, width: 10 });
  });

  test('no bar leaves the picture, and none is too narrow to be seen', () => {
    const { rows } = layOut([span('a', null, 0, 1000), span('end', 'a', 1000, 0)]);
    for (const { left, width } of rows) {
      expect(left).toBeGreaterThanOrEqual(0);
      expect(width).toBeGreaterThan(0);
      expect(left + width).toBeLessThanOrEqual(100);
    }
  });

  test('rubbish ends too: spans that are their own parents, and nothing at all', () => {
    expect(layOut([span('a', 'a', 0, 0)]).rows).toHaveLength(1);
    expect(layOut([])).toEqual({ rows: [], totalMs: 0 });
    expect(layOut([span('a', 'b', 0, 1), span('b', 'a', 0, 1)]).rows).toHaveLength(2);
  });
});

test.each([
  [`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, { traceId: 'a'.repeat(32), isSampled: true }],
  [`00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`, { traceId: 'a'.repeat(32), isSampled: false }],
  [`00-${'a'.repeat(31)}-${'b'.repeat(16)}-01`, undefined],
  [undefined, undefined],
])('the traceparent %s: %j', (text, expected) => {
  expect(readTraceparent(text)).toEqual(expected);
});

test('the spans of the services have words, those of others keep their names', () => {
  const named = (service: string, name: string, attributes = {}) =>
    stepOf({ ...span('x', null, 0, 0), service, name, attributes });
  expect(named('tidemark-ingest', 'send tidemark.events.{topic}').text).toBe(
    'Stored in the stream',
  );
  expect(named('tidemark-replay', 'process tidemark.events.{topic}').text).toBe(
    'Written to the archive',
  );
  const delivered = { 'tidemark.connections': 1200, 'tidemark.append_to_last_write_ms': 4.907 };
  expect(named('tidemark-gateway', 'process tidemark.events.{topic}', delivered)).toEqual({
    text: 'Written to clients',
    more: '1,200 connections, the last 4.91\u00a0ms after it was stored',
  });
  expect(named('shop', 'send tidemark.events.{topic}').text).toBe('send tidemark.events.{topic}');
});
