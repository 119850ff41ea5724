import { expect, test } from 'vitest';
import { Pace } from './pace.ts';

function paceAt() {
  const clock = { ms: 1000 };
  return { clock, pace: new Pace(() => clock.ms) };
}

test('pace: the archive is behind and stands still: stalled after a while, and not once it moves', () => {
  const { clock, pace } = paceAt();
  pace.observe(5, 9);
  clock.ms += 14_000;
  pace.observe(5, 12);
  expect(pace.stalled).toBe(false);
  clock.ms += 2000;
  expect(pace.stalled).toBe(true);
  pace.observe(6, 12);
  expect(pace.stalled).toBe(false);
});

test('pace: behind for long, but moving: not stalled', () => {
  const { clock, pace } = paceAt();
  for (let position = 0; position < 20; position++) {
    pace.observe(position, 1000);
    clock.ms += 10_000;
    expect(pace.stalled).toBe(false);
  }
});

test('pace: idle at the end of the stream for an hour, then an event: the time counts from there', () => {
  const { clock, pace } = paceAt();
  pace.observe(9, 9);
  clock.ms += 3_600_000;
  pace.observe(9, 9);
  pace.observe(9, 10);
  expect(pace.stalled).toBe(false);
  pace.observe(10, 10);
  clock.ms += 60_000;
  expect(pace.stalled).toBe(false);
});
