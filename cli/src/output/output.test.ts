import { expect, test } from 'vitest';
import { formatBytes, formatDuration } from './format.ts';
import { safeText } from './safe-text.ts';
import { tableLines } from './table.ts';
import { parseTemplate } from './template.ts';

const plain = (text: string) => text;

test('template: paths, texts as they are, objects as JSON, nothing for what is not there', () => {
  const print = parseTemplate('{topic} {data.a.0} {data} {data.none.x}|{{}}', plain);
  expect(print({ topic: 't', data: { a: [1] } })).toBe('t 1 {"a":[1]} |{}');
});

test('template: reads own fields alone', () => {
  expect(parseTemplate('{constructor} {data.__proto__}', plain)({ data: {} })).toBe(' ');
});

test.each(['{', 'a}', '{}', '{a'])('template %j: is refused', (text) => {
  expect(() => parseTemplate(text, plain)).toThrow(/template/);
});

test('table: gives way in its flexible columns, and never splits a character', () => {
  const columns = [
    { title: 'A', value: (row: string) => row, flexible: true },
    { title: 'B', value: () => 'fixed' },
  ];
  const lines = tableLines(columns, ['😀'.repeat(40)], 30);
  expect(lines.map((line) => [...line].length)).toEqual([26, 30]);
  expect(lines[1]).toBe(`${'😀'.repeat(22)}…  fixed`);
  expect(tableLines(columns, ['x'.repeat(40)])[1]).toBe(`${'x'.repeat(40)}  fixed`);
});

test('safe text: has nothing that a terminal obeys', () => {
  expect(safeText('a\u001b[31m\u009b\u202eb\n\u2028ä😀')).toBe(
    'a\\u001b[31m\\u009b\\u202eb\\n\\u2028ä😀',
  );
});

test('numbers for people: bytes and durations', () => {
  expect([0, 999, 1000, 1_550_000].map(formatBytes)).toEqual(['0 B', '999 B', '1.0 KB', '1.6 MB']);
  const times = [400, 59_400, 61_000, 3_700_000, 90_000_000];
  expect(times.map(formatDuration)).toEqual(['0s', '59s', '1m 1s', '1h 1m', '1d 1h']);
});
