import { describe, expect, test } from 'vitest';
import type { Task } from './task-scheduler.ts';
import { UserWork } from './user-work.ts';

/** User work whose clock the tasks move, and which runs when the test says so. */
function create() {
  let nowMs = 0;
  let scheduled: Task | undefined;
  const tasks = {
    schedule: (task: Task): void => {
      scheduled = task;
    },
  };
  const userWork = new UserWork(tasks, () => nowMs);
  const runSlice = (): boolean => scheduled?.run(nowMs + 8) ?? false;
  const spend = (ms: number): void => {
    nowMs += ms;
  };
  return { userWork, spend, runSlice };
}

function flow(user: string) {
  return { user, connection: {} };
}

describe('user work', () => {
  test('a user with a thousand messages on twenty connections: another one waits for a quantum', () => {
    const { userWork, spend, runSlice } = create();
    const connections = Array.from({ length: 20 }, () => flow('greedy'));
    let greedy = 0;
    let before: number | undefined;
    for (let n = 0; n < 1000; n++) {
      const work = (): void => {
        greedy++;
        spend(0.5);
      };
      userWork.enqueue(work, connections[n % 20] as ReturnType<typeof flow>);
    }
    userWork.enqueue(() => {
      before = greedy;
    }, flow('modest'));
    runSlice();
    expect(before).toBe(2);
  });

  test('a task that goes on: others come between its steps', () => {
    const { userWork, spend, runSlice } = create();
    const order: string[] = [];
    const task = (name: string, steps: number): Task => ({
      run: () => {
        order.push(name);
        spend(1);
        return order.filter((one) => one === name).length < steps;
      },
    });
    userWork.schedule(task('long', 4), flow('a'));
    userWork.schedule(task('short', 2), flow('b'));
    while (runSlice()) {}
    expect(order).toEqual(['long', 'short', 'long', 'short', 'long', 'long']);
  });

  test('a slice ends in time, and the messages of one connection keep their order', () => {
    const { userWork, spend, runSlice } = create();
    const one = flow('a');
    const order: number[] = [];
    for (let n = 0; n < 10; n++) {
      userWork.enqueue(() => {
        order.push(n);
        spend(0.4);
      }, one);
    }
    expect(runSlice()).toBe(true);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect(runSlice()).toBe(false);
    expect(order).toHaveLength(10);
  });
});
