import { describe, expect, test } from 'vitest';
import { Progress, WAITS_MAX } from './progress.ts';

describe('progress', () => {
  test('progress: reached before the wait began: at once', async () => {
    const progress = new Progress();
    progress.advance(5);
    expect(await progress.reached(5, 0)).toBe(true);
  });

  test('progress: reached during the wait: as soon as it is', async () => {
    const progress = new Progress();
    const wait = progress.reached(5, 10_000);
    progress.advance(4);
    progress.advance(7);
    expect(await wait).toBe(true);
  });

  test('progress: not reached in time: false', async () => {
    const progress = new Progress();
    progress.advance(4);
    expect(await progress.reached(5, 10)).toBe(false);
  });

  test('progress: taken back: what was reached is not any more', async () => {
    const progress = new Progress();
    progress.advance(9);
    progress.advance(3);
    expect(await progress.reached(5, 10)).toBe(false);
  });

  test('progress: more waits than are kept: false at once, and the others go on', async () => {
    const progress = new Progress();
    const waits = Array.from({ length: WAITS_MAX }, () => progress.reached(1, 10_000));
    expect(await progress.reached(1, 10_000)).toBe(false);
    progress.advance(1);
    expect(await Promise.all(waits)).toEqual(waits.map(() => true));
  });
});
