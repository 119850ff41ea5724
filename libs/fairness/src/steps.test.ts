import { describe, expect, test } from 'vitest';
import { EVENT_LOOP, Steps } from './steps.ts';

/** Steps under a clock that work moves; `turnLoop` lets the loop come round once. */
function setUp() {
  let now = 0;
  const soon: (() => void)[] = [];
  const steps = new Steps({ nowMs: () => now, soon: (run) => soon.push(run) });
  const done: string[] = [];
  const work = (name: string, ms: number) => () => {
    now += ms;
    done.push(name);
    return name;
  };
  const turnLoop = () => {
    for (const run of soon.splice(0)) run();
  };
  const finish = () => {
    while (soon.length > 0) turnLoop();
  };
  return { steps, done, work, turnLoop, finish };
}

const flow = (user: string) => ({ user, connection: {} });

describe('steps', () => {
  test('work: not at once, and with its result', async () => {
    const { steps, done, work, finish } = setUp();
    const result = steps.run(work('a', 1), { flow: flow('a') });
    expect(done).toEqual([]);
    finish();
    expect(await result).toBe('a');
    expect(steps.waiting).toBe(0);
  });

  test('a user with a thousand pieces on a hundred connections: another one waits for one of them', () => {
    const { steps, done, work, finish } = setUp();
    const connections = Array.from({ length: 100 }, () => flow('greedy'));
    connections.forEach((one) => {
      for (let n = 0; n < 10; n++) steps.run(work('greedy', 10), { flow: one });
    });
    steps.run(work('modest', 1), { flow: flow('modest') });
    finish();
    expect(done.indexOf('modest')).toBe(1);
    expect(done).toHaveLength(1001);
  });

  test('long work: the loop comes round after each piece, short work: after some', () => {
    const { steps, done, work, turnLoop, finish } = setUp();
    for (let n = 0; n < 3; n++) steps.run(work('long', 10), { flow: flow('a') });
    turnLoop();
    expect(done).toHaveLength(1);
    finish();
    for (let n = 0; n < 10; n++) steps.run(work('short', 1), { flow: flow('a') });
    turnLoop();
    expect(done).toHaveLength(3 + 5);
  });

  test('another user is next: the loop comes round, so that what was done can leave', () => {
    const { steps, done, work, turnLoop } = setUp();
    for (const name of ['a', 'b', 'c']) steps.run(work(name, 1), { flow: flow(name) });
    turnLoop();
    expect(done).toEqual(['a']);
    turnLoop();
    expect(done).toEqual(['a', 'b']);
  });

  test('short steps of many users: each answer leaves before the next step, in one turn of the loop', async () => {
    const steps = new Steps({ ...EVENT_LOOP, nowMs: () => 0 });
    const seen: string[] = [];
    const answer = async (name: string) => {
      await steps.run(() => seen.push(name), { flow: flow(name) });
      for (let hops = 0; hops < 20; hops++) await undefined;
      seen.push(`${name} leaves`);
    };
    const answers = ['a', 'b', 'c'].map(answer);
    setImmediate(() => seen.push('the loop comes round'));
    await Promise.all(answers);
    await new Promise(setImmediate);
    const each = ['a', 'a leaves', 'b', 'b leaves', 'c', 'c leaves'];
    expect(seen).toEqual([...each, 'the loop comes round']);
  });

  test('nobody wants the result: it is not worked for', async () => {
    const { steps, done, work, finish } = setUp();
    const leaving = new AbortController();
    const left = steps.run(work('left', 1), { flow: flow('a'), signal: leaving.signal });
    const stayed = steps.run(work('stayed', 1), { flow: flow('a') });
    leaving.abort(new Error('gone'));
    expect(steps.waiting).toBe(1);
    finish();
    await expect(left).rejects.toThrow('gone');
    await stayed;
    await expect(
      steps.run(work('late', 1), { flow: flow('a'), signal: leaving.signal }),
    ).rejects.toThrow('gone');
    expect(done).toEqual(['stayed']);
  });

  test('work that throws: its error, and the others go on', async () => {
    const { steps, work, finish } = setUp();
    const broken = steps.run(
      () => {
        throw new Error('broken');
      },
      { flow: flow('a') },
    );
    const whole = steps.run(work('whole', 1), { flow: flow('a') });
    finish();
    await expect(broken).rejects.toThrow('broken');
    expect(await whole).toBe('whole');
  });
});
