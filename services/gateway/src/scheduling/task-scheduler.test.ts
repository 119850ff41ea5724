import { expect, test } from 'vitest';
import { TASK_SLICE_MS, TaskScheduler } from './task-scheduler.ts';

test('tasks of some milliseconds each: a turn ends in time, and the next ones run the rest in order', () => {
  let nowMs = 0;
  const turns: (() => void)[] = [];
  const soon = (turn: () => void): void => void turns.push(turn);
  const scheduler = new TaskScheduler({ nowMs: () => nowMs, soon, after: () => () => {} });
  const run: number[] = [];
  for (let n = 0; n < 10; n++) {
    scheduler.schedule({
      run: () => {
        run.push(n);
        nowMs += TASK_SLICE_MS / 2;
        return false;
      },
    });
  }
  turns.shift()?.();
  expect(run).toEqual([0, 1]);
  while (turns.length > 0) turns.shift()?.();
  expect(run).toEqual(Array.from({ length: 10 }, (_, n) => n));
});
