import { expect, test } from 'vitest';
import { ago, bytes, count, duration, short } from './format.ts';

/** Units stand behind a space that does not break. */
const spaced = (text: string) => text.replaceAll('\u00a0', ' ');

test.each([
  [0, '0'],
  [0.25, '0.25'],
  [1.999, '2'],
  [12.04, '12'],
  [180.4, '180'],
  [9999, '9,999'],
  [69_234, '69.2 k'],
  [1_250_000, '1.25 M'],
  [3_000_000_000, '3 G'],
])('figures that change: %d: are %s', (value, text) => {
  expect(spaced(short(value))).toBe(text);
});

test('figures: of what is counted: have all digits', () => {
  expect(count(1_204_880)).toBe('1,204,880');
});

test.each([
  [0, '0 B'],
  [1023, '1,023 B'],
  [1024, '1 KiB'],
  [1_572_864, '1.5 MiB'],
  [8 * 1024 ** 3, '8 GiB'],
  [5000 * 1024 ** 4, '5,000 TiB'],
])('bytes: %d: are %s', (value, text) => {
  expect(spaced(bytes(value))).toBe(text);
});

test.each([
  [0, '0 ms'],
  [0.42, '0.42 ms'],
  [12.34, '12.3 ms'],
  [999, '999 ms'],
  [3100, '3.1 s'],
  [59_400, '59 s'],
  [300_000, '5 min'],
  [7_800_000, '2 h 10 min'],
  [86_400_000 * 3 + 3_600_000 * 4, '3 d 4 h'],
])('durations: %d ms: are %s', (ms, text) => {
  expect(spaced(duration(ms))).toBe(text);
});

test('times ago: less than a second, or a clock that is ahead: is now', () => {
  expect(ago(10_500, 11_000)).toBe('now');
  expect(ago(12_000, 11_000)).toBe('now');
  expect(spaced(ago(8_500, 11_000))).toBe('2 s ago');
});
