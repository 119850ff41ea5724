import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseEvent } from './events.ts';
import { eventExpiryMs, NEVER_MS, refuseExpired } from './expiry.ts';

const EVENT = { specversion: '1.0', id: '1', source: '/s', type: 'a', topic: 'a' };
const LATER = '2999-01-01T00:00:00Z';

function expiryOf(event: object): number {
  return eventExpiryMs(Buffer.from(JSON.stringify(event)));
}

describe('expiry', () => {
  test('expires anywhere among the attributes: its time; within data or absent: never', () => {
    const time = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9000-01-01') });
    fc.assert(
      fc.property(time, fc.jsonValue({ maxDepth: 3 }), fc.boolean(), (date, value, first) => {
        const expires = date.toISOString();
        const data = { expires: 'x', value, text: `","expires":"${LATER}"` };
        expect(expiryOf({ ...EVENT, data })).toBe(NEVER_MS);
        const event = first ? { expires, ...EVENT, data } : { data, ...EVENT, expires };
        expect(expiryOf(event)).toBe(date.getTime());
      }),
    );
  });

  test('an expires that is no time, as events of an earlier version may have: never', () => {
    for (const expires of ['soon', 7, true, '', '2026-02-30T00:00:00Z']) {
      expect(expiryOf({ ...EVENT, expires })).toBe(NEVER_MS);
    }
    expect(eventExpiryMs(Buffer.from('"expires"'))).toBe(NEVER_MS);
  });

  test('an event to be published: expires must be a time, and later than now', () => {
    for (const expires of ['soon', 7, '2026-02-30T00:00:00Z']) {
      expect(() => parseEvent({ ...EVENT, expires })).toThrow(
        expect.objectContaining({ code: 'invalid_event' }),
      );
    }
    const nowMs = Date.parse(LATER);
    expect(() => refuseExpired(parseEvent({ ...EVENT, expires: LATER }), nowMs, '[3]')).toThrow(
      expect.objectContaining({
        code: 'invalid_event',
        details: expect.objectContaining({
          faults: [{ path: '[3].expires', message: 'must be later than now' }],
        }),
      }),
    );
    refuseExpired(parseEvent({ ...EVENT, expires: LATER }), nowMs - 1);
    refuseExpired(parseEvent({ ...EVENT, expires: null }), nowMs);
  });
});
