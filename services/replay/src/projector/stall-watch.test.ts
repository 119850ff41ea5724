import { expect, test } from 'vitest';
import { StallWatch } from './stall-watch.ts';

/** Observes every 2 s, as the stream keeper does. */
function watch() {
  let nowMs = 1000;
  const stallWatch = new StallWatch(() => nowMs);
  return {
    stallWatch,
    waitUnobserved(ms: number) {
      nowMs += ms;
    },
    observe(position: number, streamEnd: number, seconds = 2) {
      for (let passed = 0; passed < seconds; passed += 2) {
        nowMs += 2000;
        stallWatch.observe(position, streamEnd);
      }
    },
  };
}

test('stall watch: the archive is behind and stands still: stalled after a while, and not once it moves', () => {
  const { stallWatch, observe } = watch();
  observe(5, 9, 14);
  expect(stallWatch.stalled).toBe(false);
  observe(5, 12, 4);
  expect(stallWatch.stalled).toBe(true);
  observe(6, 12);
  expect(stallWatch.stalled).toBe(false);
});

test('stall watch: behind for long, but moving: not stalled', () => {
  const { stallWatch, observe } = watch();
  for (let position = 0; position < 20; position++) {
    observe(position, 1000, 10);
    expect(stallWatch.stalled).toBe(false);
  }
});

test('stall watch: idle at the end of the stream, then an event: the time counts from there', () => {
  const { stallWatch, observe } = watch();
  observe(9, 9, 60);
  observe(9, 10);
  expect(stallWatch.stalled).toBe(false);
  observe(10, 10, 60);
  expect(stallWatch.stalled).toBe(false);
});

test('stall watch: behind when NATS went away for an hour: the time counts from its return', () => {
  const { stallWatch, observe, waitUnobserved } = watch();
  observe(5, 9);
  waitUnobserved(3_600_000);
  expect(stallWatch.stalled).toBe(false);
  observe(5, 9, 12);
  expect(stallWatch.stalled).toBe(false);
  observe(5, 9, 8);
  expect(stallWatch.stalled).toBe(true);
});
