import { describe, expect, test } from 'vitest';
import { Progress, WAITS_MAX } from './progress.ts';

describe('progress', () => {
  test('progress: reached before the wait began: at once', async () => {
    const progress = new Progress();
    progress.setSequence(5);
    expect(await progress.waitForSequence(5, 0)).toBe(true);
  });

  test('progress: reached during the wait: as soon as it is', async () => {
    const progress = new Progress();
    const wait = progress.waitForSequence(5, 10_000);
    progress.setSequence(4);
    progress.setSequence(7);
    expect(await wait).toBe(true);
  });

  test('progress: not reached in time: false', async () => {
    const progress = new Progress();
    progress.setSequence(4);
    expect(await progress.waitForSequence(5, 10)).toBe(false);
  });

  test('progress: lower after a truncation: what was reached is not any more', async () => {
    const progress = new Progress();
    progress.setSequence(9);
    progress.setSequence(3);
    expect(await progress.waitForSequence(5, 10)).toBe(false);
  });

  test('progress: more waits than are kept: false at once, and the others go on', async () => {
    const progress = new Progress();
    const waits = Array.from({ length: WAITS_MAX }, () => progress.waitForSequence(1, 10_000));
    expect(await progress.waitForSequence(1, 10_000)).toBe(false);
    progress.setSequence(1);
    expect(await Promise.all(waits)).toEqual(waits.map(() => true));
  });
});
