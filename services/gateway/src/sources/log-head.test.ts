import { setImmediate, setTimeout } from 'node:timers/promises';
import { Limits } from '@tidemark/http';
import { TidemarkError } from '@tidemark/protocol';
import { Metrics } from '@tidemark/telemetry';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../scheduling/clock.ts';
import { LogHead, type LogHeadOptions } from './log-head.ts';

const SEARCHES_MAX = 200;
const POLL = { timeout: 10_000 };
const END = { epoch: 'e', firstSequence: 1, lastSequence: 7 };

const direct = <T>(step: () => Promise<T>): Promise<T> => step();

function applicant(user: string) {
  const leaving = new AbortController();
  return { leaving, flow: { user, connection: leaving }, signal: leaving.signal };
}

function create(findNewest: LogHeadOptions['archive']['findNewest']) {
  const reads: number[] = [];
  const stream = {
    connected: true,
    bounds: async () => {
      reads.push(reads.length);
      await setImmediate();
      return END;
    },
  };
  const limits = new Limits(new Metrics('test', { defaults: false }));
  const searches = limits.budget('head_searches', { max: SEARCHES_MAX, of: 'searches' });
  const head = new LogHead({ stream, archive: { findNewest }, clock: systemClock, searches });
  return { head, reads, stream };
}

describe('head of the log', () => {
  test('many askers at one time: one request to the stream', async () => {
    const { head, reads } = create(async () => 0);
    const answers = await Promise.all(Array.from({ length: 1000 }, () => head.read()));
    expect(new Set(answers.map(({ cursor }) => cursor))).toEqual(new Set(['e-7']));
    expect(reads).toHaveLength(1);
  });

  test('searches of one user: some at a time, and another user is next', async () => {
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const { head } = create(({ patterns: [topic = ''] }, _user, runStep = direct) =>
      runStep(() => {
        begun.push(topic);
        return new Promise((resolve) => ends.push(() => resolve(3)));
      }),
    );
    const greedy = Array.from({ length: 100 }, () => head.find(['mine'], applicant('greedy')));
    await expect.poll(() => begun.length, POLL).toBe(16);
    const other = head.find(['theirs'], applicant('other'));
    await setImmediate();
    await setImmediate();
    ends.shift()?.();
    await expect.poll(() => begun.at(-1), POLL).toBe('theirs');
    expect(begun).toHaveLength(17);
    const all = Promise.all([other, ...greedy]);
    const ending = setInterval(() => ends.splice(0).forEach((end) => void end()), 1);
    expect(await all).toHaveLength(101);
    clearInterval(ending);
  });

  test('searches of very many steps, as many as there may be requests: another user is next after a step', async () => {
    let steps = 0;
    const { head } = create(async ({ patterns: [topic] }, _user, runStep = direct) => {
      for (let step = 0; step < (topic === 'many' ? 50 : 1); step++) {
        await runStep(async () => {
          steps++;
          await setTimeout(1);
        });
      }
      return 3;
    });
    const greedy = Array.from({ length: 100 }, () => head.find(['many'], applicant('greedy')));
    await expect.poll(() => steps, POLL).toBeGreaterThan(0);
    const before = steps;
    await head.find(['one'], applicant('other'));
    expect(steps - before).toBeLessThan(100);
    expect(await Promise.all(greedy)).toHaveLength(100);
  });

  test('searches that are under way: limited, with room for users who have none', async () => {
    const { head } = create(() => new Promise(() => {}));
    const greedy = Array.from({ length: 200 }, () => {
      return head.find(['a'], applicant('greedy')).catch(({ code }) => code);
    });
    expect(await Promise.race(greedy)).toBe('limit_exceeded');
    const other = head.find(['a'], applicant('other')).catch(({ code }) => code);
    expect(await Promise.race([other, setTimeout(20, 'waits')])).toBe('waits');
  });

  test('an archive that is a moment behind: asked again; one that stays behind: unavailable', async () => {
    let tries = 0;
    const late = create(async () => {
      if (++tries < 3) throw new TidemarkError('unavailable', 'behind');
      return 0;
    });
    expect(await late.head.find(['a'], applicant('a'))).toEqual({ cursor: 'e-7', last: null });
    const never = create(() => Promise.reject(new TidemarkError('unavailable', 'behind')));
    await expect(never.head.find(['a'], applicant('a'))).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

  test('a client that leaves: its search is not made', async () => {
    let searches = 0;
    const { head } = create(async (_query, _user, runStep = direct) => {
      return runStep(async () => ++searches);
    });
    const one = applicant('a');
    const found = head.find(['a'], one);
    one.leaving.abort(new Error('gone'));
    await expect(found).rejects.toThrow('gone');
    expect(searches).toBe(0);
  });

  test('without the stream: unavailable, never a guess', async () => {
    const { head, stream } = create(async () => 0);
    stream.connected = false;
    await expect(head.read()).rejects.toMatchObject({ code: 'unavailable' });
  });
});
