import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatCursor } from './cursors.ts';
import { TidemarkError } from './errors.ts';
import { parseClientMessage, SUBSCRIPTION_ID_LENGTH_MAX } from './messages.ts';

function refusal(message: unknown): { id?: string; code?: string } {
  const parsed = parseClientMessage(JSON.stringify(message));
  if (!('error' in parsed)) return {};
  const { code } = parsed.error;
  return parsed.id === undefined ? { code } : { id: parsed.id, code };
}

describe('client messages', () => {
  test('any text: a message, or an error with a code; nothing is thrown', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const parsed = parseClientMessage(text);
        const refused = 'error' in parsed && parsed.error instanceof TidemarkError;
        expect(refused || 'type' in parsed).toBe(true);
      }),
    );
  });

  test('any field beside those of a subscribe: refused, with the id that was named', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.jsonValue(), (name, value) => {
        const message = { type: 'subscribe', id: 's', topics: ['a'] };
        fc.pre(
          !(name in message) && !['types', 'after', 'deliver', 'trace', '__proto__'].includes(name),
        );
        expect(refusal({ ...message, [name]: value })).toEqual({
          id: 's',
          code: 'invalid_message',
        });
      }),
    );
  });

  test('subscribe: any cursor, patterns once each, defaults', () => {
    const position = fc.record({
      epoch: fc.stringMatching(/^[a-z0-9.]{1,40}$/),
      sequence: fc.maxSafeNat(),
    });
    fc.assert(
      fc.property(position, (place) => {
        const message = { type: 'subscribe', id: 's', topics: ['a.*', 'b', 'a.*'] };
        const after = formatCursor(place);
        expect(parseClientMessage(JSON.stringify({ ...message, after }))).toMatchObject({
          type: 'subscribe',
          id: 's',
          patterns: ['a.*', 'b'],
          start: { kind: 'cursor', position: place },
          deliver: 'all',
        });
        expect(parseClientMessage(JSON.stringify(message))).toMatchObject({
          start: { kind: 'latest' },
        });
      }),
    );
  });

  test('wrong ones: each its code, and the id where one could be read', () => {
    const subscribe = { type: 'subscribe', id: 's', topics: ['a'] };
    expect(parseClientMessage('{')).toMatchObject({ error: { code: 'invalid_json' } });
    expect(refusal(null)).toEqual({ code: 'invalid_message' });
    expect(refusal({ type: 'shout', id: 's' })).toEqual({ id: 's', code: 'invalid_message' });
    expect(refusal({ ...subscribe, id: '' })).toEqual({ code: 'invalid_message' });
    expect(refusal({ ...subscribe, topics: [] })).toEqual({ id: 's', code: 'invalid_pattern' });
    expect(refusal({ ...subscribe, topics: ['a..b'] })).toEqual({
      id: 's',
      code: 'invalid_pattern',
    });
    expect(refusal({ ...subscribe, after: 'x' })).toEqual({ id: 's', code: 'invalid_cursor' });
    expect(refusal({ ...subscribe, after: '2026-99-01T00:00:00Z' })).toEqual({
      id: 's',
      code: 'invalid_time',
    });
    expect(refusal({ ...subscribe, deliver: 'some' })).toEqual({
      id: 's',
      code: 'invalid_message',
    });
  });

  test('types: as they are; wrong ones are refused with what is wrong', () => {
    const subscribe = { type: 'subscribe', id: 's', topics: ['a'] };
    const types = ['order.paid', 'invoice.*', '*', 'a b, c'];
    expect(parseClientMessage(JSON.stringify({ ...subscribe, types }))).toMatchObject({ types });
    expect(parseClientMessage(JSON.stringify(subscribe))).not.toHaveProperty('types');
    const wrong = [[], [''], ['a*b'], ['*a'], [7], 'a', null, {}, Array(101).fill('a')];
    for (const list of wrong) {
      expect(refusal({ ...subscribe, types: list })).toEqual({ id: 's', code: 'invalid_message' });
    }
    const parsed = parseClientMessage(JSON.stringify({ ...subscribe, types: ['a*b'] }));
    const faults = [{ path: 'types', message: 'may have * only at the end of a type' }];
    expect(parsed).toMatchObject({ error: { details: { faults } } });
  });

  test('id: of the longest length and one longer: taken, refused', () => {
    const unsubscribe = (length: number) => ({ type: 'unsubscribe', id: 'x'.repeat(length) });
    expect(refusal(unsubscribe(SUBSCRIPTION_ID_LENGTH_MAX))).toEqual({});
    expect(refusal(unsubscribe(SUBSCRIPTION_ID_LENGTH_MAX + 1))).toEqual({
      code: 'invalid_message',
    });
  });
});

test.each([
  'a\nb',
  '\u001b[2J',
  'a\u202eb',
  'a\u200bb',
  'a\u2028b',
  '\ud800',
  '\ue000',
  '\u009b2J',
])('id %o: is refused, and not repeated in the error', (id) => {
  for (const message of [
    { type: 'subscribe', id, topics: ['a'] },
    { type: 'unsubscribe', id },
    { type: 'publish', id, event: {} },
  ]) {
    const parsed = parseClientMessage(JSON.stringify(message));
    expect(parsed).toMatchObject({ error: { code: 'invalid_message' } });
    expect(parsed).not.toHaveProperty('id');
  }
});

test('id of any script, with emoji: is accepted', () => {
  for (const id of ['a b', 'été', '数据', '😀', '~!@#']) {
    const parsed = parseClientMessage(JSON.stringify({ type: 'unsubscribe', id }));
    expect(parsed).toMatchObject({ id });
  }
});
