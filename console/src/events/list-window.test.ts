import fc from 'fast-check';
import { expect, test } from 'vitest';
import { listWindow } from './list-window.ts';

test('of ten thousand rows only what is seen is drawn, and some more', () => {
  const view = { scrollTop: 28_000, height: 560, rowHeight: 28 };
  expect(listWindow(10_000, view)).toEqual({ first: 992, end: 1028 });
});

test('wherever it is scrolled to: what is drawn are rows, and has all that are seen', () => {
  const size = fc.integer({ min: 0, max: 100_000 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20_000 }), size, size, (rows, scrollTop, height) => {
      const { first, end } = listWindow(rows, { scrollTop, height, rowHeight: 28 });
      expect(first).toBeGreaterThanOrEqual(0);
      expect(end).toBeLessThanOrEqual(rows);
      expect(first).toBeLessThanOrEqual(end);
      const seen = Math.min(rows, Math.ceil((scrollTop + height) / 28));
      if (seen * 28 > scrollTop) expect(first * 28).toBeLessThanOrEqual(scrollTop);
      expect(end).toBeGreaterThanOrEqual(seen);
    }),
  );
});
