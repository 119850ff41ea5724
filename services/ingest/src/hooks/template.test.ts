import { parseExact } from '@tidemark/protocol';
import { describe, expect, test } from 'vitest';
import { type HookTemplates, toEvent } from './hook.ts';
import { type HookInput, parsePointer, parseTemplate, valueAt } from './template.ts';

const NOW_MS = Date.UTC(2026, 2, 4);

function inputOf(text: string, headers: HookInput['headers'] = {}): HookInput {
  return { value: parseExact(text), text, headers };
}

/** The event of a hook whose templates are these, beside plain ones. */
function make(
  templates: Partial<Record<keyof HookTemplates, string>>,
  input: HookInput,
  path = '',
) {
  const plain = { id: '1', source: '/s', type: 't', topic: 'a' };
  const parsed = Object.entries({ ...plain, ...templates }).map(([name, text]) => {
    return [name, parseTemplate(text)] as const;
  });
  const all = Object.fromEntries(parsed) as unknown as HookTemplates;
  return toEvent({ templates: all }, input, { path, nowMs: NOW_MS });
}

describe('JSON pointer', () => {
  // The document and the pointers of RFC 6901, section 5.
  const document = {
    foo: ['bar', 'baz'],
    '': 0,
    'a/b': 1,
    'c%d': 2,
    'e^f': 3,
    'g|h': 4,
    'i\\j': 5,
    'k"l': 6,
    ' ': 7,
    'm~n': 8,
  };
  test.each([
    ['', document],
    ['/foo', ['bar', 'baz']],
    ['/foo/0', 'bar'],
    ['/', 0],
    ['/a~1b', 1],
    ['/c%d', 2],
    ['/e^f', 3],
    ['/g|h', 4],
    ['/i\\j', 5],
    ['/k"l', 6],
    ['/ ', 7],
    ['/m~0n', 8],
  ])('%j: leads where RFC 6901 says', (pointer, value) => {
    expect(valueAt(document, parsePointer(pointer))).toEqual(value);
  });

  test.each(['/foo/2', '/foo/01', '/foo/-', '/foo/length', '/a', '/constructor', '/foo/0/0'])(
    '%s: leads nowhere',
    (pointer) => {
      expect(valueAt(document, parsePointer(pointer))).toBeUndefined();
    },
  );

  test.each(['a', '/~', '/~2'])('%s: is none', (pointer) => {
    expect(() => parsePointer(pointer)).toThrow(SyntaxError);
  });
});

describe('template', () => {
  test('pointers, headers, hash, literals: are filled in', () => {
    const input = inputOf('{"repository":{"id":7,"private":true}}', { 'x-event': 'push' });
    const event = make(
      {
        id: '{sha256}',
        type: 'com.github.{header:X-Event}',
        subject: "{/nothing|/repository/private} {'x'}",
        topic: 'github.{/repository/id}.all',
      },
      input,
    );
    expect(event).toEqual({
      specversion: '1.0',
      id: 'ce9841bf83aaee30fbcdf78f635f78d5c9ba30ac0143e851bb767c17166712cb',
      source: '/s',
      type: 'com.github.push',
      topic: 'github.7.all',
      subject: 'true x',
      time: '2026-03-04T00:00:00.000Z',
      data: { repository: { id: 7, private: true } },
    });
  });

  test('a number of 19 digits: keeps its digits', () => {
    expect(make({ id: '{/id}' }, inputOf('{"id":1234567890123456789}')).id).toBe(
      '1234567890123456789',
    );
  });

  test.each([
    ['a.b', 'github.a_-2e-_b'],
    ['*', 'github._-2a-_'],
    ['>', 'github._-3e-_'],
    ['a.>', 'github.a_-2e3e-_'],
    ['a b\r\n', 'github.a_-20-_b_-0d0a-_'],
    ['plain-1_x', 'github.plain-1_x'],
  ])('%j in a topic: is one token', (value, topic) => {
    expect(make({ topic: 'github.{/x}' }, inputOf(JSON.stringify({ x: value }))).topic).toBe(topic);
  });

  test('a value in a source: letters that a URI has not are percent-encoded', () => {
    const input = inputOf('{"x":"octo/a b%ü"}');
    expect(make({ source: 'https://x/{/x}' }, input).source).toBe('https://x/octo/a%20b%25%C3%BC');
  });

  test('a header of UTF-8 bytes: is read as UTF-8', () => {
    const latin1 = Buffer.from('Grüße').toString('latin1');
    expect(make({ subject: '{header:x}' }, inputOf('{}', { x: latin1 })).subject).toBe('Grüße');
  });

  test.each(['{}', '{"x":null}', '{"x":""}', '{"x":{"y":1}}', '{"x":[1]}', '{"x":"\\ud800"}', '7'])(
    '%s: has no value at /x: invalid_event that names the pointer',
    (text) => {
      expect(() => make({ topic: 'a.{/x}' }, inputOf(text))).toThrow(
        expect.objectContaining({
          code: 'invalid_event',
          message: '/x has no text, number or boolean, which topic is made from.',
          details: { faults: [expect.objectContaining({ path: '/x' })] },
        }),
      );
    },
  );

  test('an item without a value, of several alternatives: both are named with the item', () => {
    expect(() => make({ id: '{/x|header:y}' }, inputOf('{}'), '[3]')).toThrow(
      '[3]/x nor header:y has no text',
    );
  });

  test.each([
    ['1772582400', '2026-03-04T00:00:00.000Z'],
    ['1772582400.25', '2026-03-04T00:00:00.250Z'],
    ['1772582400250', '2026-03-04T00:00:00.250Z'],
    ['2026-03-04T01:00:00+01:00', '2026-03-04T01:00:00+01:00'],
    ['yesterday', 'yesterday'],
  ])('time %s: becomes %s, which is checked later', (sent, time) => {
    expect(make({ time: '{/t}' }, inputOf(JSON.stringify({ t: sent }))).time).toBe(time);
  });

  test.each([
    '{/a',
    'a}',
    '{{/a}}',
    '{}',
    '{a}',
    "{''}",
    '{header:}',
    '{header:a b}',
    '{/~}',
    '{/a|b}',
  ])('%s: is none', (text) => {
    expect(() => parseTemplate(text)).toThrow(SyntaxError);
  });
});
