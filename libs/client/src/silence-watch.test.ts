import { expect, test } from 'vitest';
import { type Environment, systemEnvironment } from './environment.ts';
import { SilenceWatch } from './silence-watch.ts';

/** Timers that fire when the test says so; a frozen page has them fire late. */
function setUp() {
  let nowMs = 0;
  const timers: { at: number; run: () => void }[] = [];
  const environment: Environment = {
    ...systemEnvironment(),
    now: () => nowMs,
    timer: (run, ms) => {
      const timer = { at: nowMs + ms, run };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer) >>> 0, 1);
    },
  };
  const heard: string[] = [];
  const watch = new SilenceWatch(environment, {
    ask: () => heard.push('asked'),
    dead: () => heard.push('dead'),
  });
  /** All timers that are due fire at once, at the end. */
  const pass = (ms: number) => {
    nowMs += ms;
    for (const timer of timers.filter(({ at }) => at <= nowMs)) {
      timers.splice(timers.indexOf(timer), 1);
      timer.run();
    }
  };
  return { watch, heard, pass };
}

test('silence: of two whole heartbeats: is death, of less is not', () => {
  const { watch, heard, pass } = setUp();
  watch.start(1000);
  pass(1000);
  watch.heard();
  for (const _ of [1, 2]) pass(1000);
  expect(heard).toEqual([]);
  pass(1000);
  expect(heard).toEqual(['dead']);
});

test('silence: timer that fires late: asks, and counts from there', () => {
  const { watch, heard, pass } = setUp();
  watch.start(1000);
  pass(60_000);
  expect(heard).toEqual(['asked']);
  watch.heard();
  pass(1000);
  expect(heard).toEqual(['asked']);
});

test('silence: probe without an answer: is death, with one is not', () => {
  const { watch, heard, pass } = setUp();
  watch.start(100_000);
  watch.probe();
  watch.heard();
  pass(5000);
  expect(heard).toEqual(['asked']);
  watch.probe();
  pass(5000);
  expect(heard).toEqual(['asked', 'asked', 'dead']);
});
