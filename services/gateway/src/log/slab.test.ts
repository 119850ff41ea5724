import { expect, test } from 'vitest';
import { Slab } from './slab.ts';

const CHUNK_BYTES = 64 * 1024;

test('keep: a little of each large buffer: the bytes, and hardly more memory than they need', () => {
  const slab = new Slab();
  const kept = Array.from({ length: 1000 }, (_, index) => {
    return slab.copy(Buffer.alloc(CHUNK_BYTES, String(index % 10)).subarray(100, 400));
  });
  kept.forEach((bytes, index) => {
    expect(Buffer.from(bytes).toString()).toBe(String(index % 10).repeat(300));
  });
  const buffers = new Set(kept.map(({ buffer }) => buffer));
  const held = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(held).toBeLessThan(2 * 1000 * 300);
});

test('keep: large parts of larger buffers: retain nothing else of them', () => {
  const large = Buffer.alloc(CHUNK_BYTES, 'x').subarray(0, CHUNK_BYTES / 2);
  const kept = new Slab().copy(large);
  expect(Buffer.from(kept)).toEqual(large);
  expect(kept.buffer.byteLength).toBe(CHUNK_BYTES / 2);
});

test('keep: what is most of its buffer: is not copied', () => {
  const large = Buffer.alloc(CHUNK_BYTES).subarray(100);
  expect(new Slab().copy(large)).toBe(large);
});
