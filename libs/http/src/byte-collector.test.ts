import { expect, test } from 'vitest';
import { ByteCollector } from './byte-collector.ts';

const full = new Error('full');

function collect(bytesMax: number, take?: (bytes: number) => void) {
  return new ByteCollector({ bytesMax, take, onFull: () => full });
}

test('chunks: come together in order', () => {
  const collector = collect(100);
  for (const text of ['a', 'bcd', '', 'efghijk']) collector.append(Buffer.from(text));
  expect(collector.bytes().toString()).toBe('abcdefghijk');
});

test('tiny chunks: take the memory of their bytes', () => {
  let taken = 0;
  const collector = collect(1_000_000, (bytes) => {
    taken += bytes;
  });
  const startBytes = process.memoryUsage().arrayBuffers;
  for (let n = 0; n < 600_000; n++) collector.append(Buffer.from('x'));
  expect(taken).toBeLessThanOrEqual(1_000_000);
  expect(collector.bytes().length).toBe(600_000);
  expect(process.memoryUsage().arrayBuffers - startBytes).toBeLessThan(20_000_000);
});

test('more than allowed, or than there is room for: refused, what was there stays', () => {
  const collector = collect(10);
  collector.append(Buffer.alloc(10));
  expect(() => collector.append(Buffer.alloc(1))).toThrow(full);
  expect(collector.length).toBe(10);
  const refused = new Error('no room');
  const poor = collect(10, () => {
    throw refused;
  });
  expect(() => poor.append(Buffer.alloc(1))).toThrow(refused);
  expect(poor.length).toBe(0);
});
