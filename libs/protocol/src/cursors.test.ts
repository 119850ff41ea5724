import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatCursor, isTime, parseCursor, parseStart, parseTime } from './cursors.ts';

const epoch = fc.stringMatching(/^[a-z0-9.]{1,40}$/);
const position = fc.record({ epoch, sequence: fc.maxSafeNat() });

/** RFC 3339 section 5.6, with the moment that it means. */
const time = fc
  .record({
    ms: fc.integer({ min: Date.UTC(1, 0), max: Date.UTC(9998, 11) }),
    offsetMinutes: fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 }),
    lower: fc.boolean(),
  })
  .map(({ ms, offsetMinutes, lower }) => {
    const local = new Date(ms + offsetMinutes * 60_000).toISOString().slice(0, -1);
    const sign = offsetMinutes < 0 ? '-' : '+';
    const hours = String(Math.floor(Math.abs(offsetMinutes) / 60)).padStart(2, '0');
    const minutes = String(Math.abs(offsetMinutes) % 60).padStart(2, '0');
    const text = offsetMinutes === 0 ? `${local}Z` : `${local}${sign}${hours}:${minutes}`;
    return { ms, text: lower ? text.toLowerCase() : text };
  });

describe('cursors', () => {
  test('cursor: any position: there and back', () => {
    fc.assert(
      fc.property(position, (place) => {
        expect(parseCursor(formatCursor(place))).toEqual(place);
        expect(parseStart(formatCursor(place))).toEqual({ kind: 'cursor', position: place });
      }),
    );
  });

  test('cursor: any text: read as written, or refused with a code', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        try {
          expect(formatCursor(parseCursor(text))).toBe(text);
        } catch (error) {
          expect((error as { code?: string }).code).toBe('invalid_cursor');
        }
      }),
    );
  });

  test('cursor: numbers that doubles cannot tell apart, signs, zeros in front: refused', () => {
    const invalid = expect.objectContaining({ code: 'invalid_cursor' });
    const wrong = ['e-9007199254740993', 'e--1', 'e-01', 'e-', '-1', 'E-1', 'e-1 ', 'e-1e3', 'e'];
    for (const text of wrong) expect(() => parseCursor(text), text).toThrow(invalid);
  });

  test('start: words, nothing and times: each its kind', () => {
    expect(parseStart(undefined)).toEqual({ kind: 'latest' });
    expect(parseStart('')).toEqual({ kind: 'latest' });
    expect(parseStart('latest')).toEqual({ kind: 'latest' });
    expect(parseStart('earliest')).toEqual({ kind: 'earliest' });
    expect(parseStart('1970-01-01T00:00:01Z')).toEqual({ kind: 'time', timeMs: 1000 });
    expect(() => parseStart('Latest')).toThrow(expect.objectContaining({ code: 'invalid_cursor' }));
    expect(() => parseStart('2026-13-01T00:00:00Z')).toThrow(
      expect.objectContaining({ code: 'invalid_time' }),
    );
  });
});

describe('times', () => {
  test('RFC 3339: any moment in any zone: the moment', () => {
    fc.assert(
      fc.property(time, ({ ms, text }) => {
        expect(isTime(text), text).toBe(true);
        expect(parseTime(text)).toBe(ms);
      }),
    );
  });

  test('RFC 3339: days that no month has, hours that no day has, forms of other standards: refused', () => {
    const wrong = [
      '2026-02-30T00:00:00Z',
      '2025-02-29T00:00:00Z',
      '2026-04-31T00:00:00Z',
      '1900-02-29T00:00:00Z',
      '2026-01-01T24:00:00Z',
      '2026-01-01T00:60:00Z',
      '2026-01-01T00:00:00',
      '2026-01-01 00:00:00Z',
      '2026-01-01',
      '20260101T000000Z',
      '2026-01-01T00:00:00+0100',
      '2026-01-01T00:00:00.Z',
    ];
    for (const text of wrong) expect(isTime(text), text).toBe(false);
  });

  test('RFC 3339: a leap second, a leap day, any number of digits: taken', () => {
    expect(parseTime('2016-12-31T23:59:60Z')).toBe(Date.UTC(2016, 11, 31, 23, 59, 59));
    expect(parseTime('2016-12-31T23:59:60.25Z')).toBe(Date.UTC(2016, 11, 31, 23, 59, 59, 250));
    expect(parseTime('2024-02-29T00:00:00Z')).toBe(Date.UTC(2024, 1, 29));
    expect(parseTime('2000-02-29T00:00:00Z')).toBe(Date.UTC(2000, 1, 29));
    expect(parseTime('1970-01-01T00:00:00.123456789Z')).toBe(123);
    expect(parseTime(`1970-01-01T01:00:00.123${'9'.repeat(100)}+01:00`)).toBe(123);
    expect(parseTime(`2016-12-31t23:59:60.25${'0'.repeat(100)}z`)).toBe(1_483_228_799_250);
  });
});
