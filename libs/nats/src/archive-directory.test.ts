import type { ArchiveHoldings, SequenceRange } from '@tidemark/protocol';
import { describe, expect, test } from 'vitest';
import { ArchiveDirectory } from './archive-directory.ts';
import { type KnownArchive, SILENCE_MS } from './known-archive.ts';

const ABSENCE_MS = 60_000;
const NONE: ReadonlySet<KnownArchive> = new Set();

function createDirectory() {
  const clock = { nowMs: 10_000 };
  const directory = new ArchiveDirectory({
    absenceMs: ABSENCE_MS,
    nowMs: () => clock.nowMs,
    except: 'self',
  });
  directory.begin();
  const hear = (name: string, holdings: ArchiveHoldings, leaving = false) => {
    // "a2" is the archive "a" in another process.
    const archive = name.replace(/\d$/, '');
    directory.note({ instance: name, archive, leaving, holdings });
  };
  const chosen = (sequence: number, epoch = 'e') =>
    directory.choose(epoch, sequence, NONE)?.instance;
  return { clock, directory, hear, chosen };
}

function holding(
  firstSequence: number,
  lastSequence: number,
  missing: readonly SequenceRange[] = [],
): ArchiveHoldings {
  return { epoch: 'e', firstSequence, lastSequence, missing };
}

describe('archives: which one is asked', () => {
  test('choice: an old, a young and a holed one: always one that holds the event', () => {
    const { hear, chosen } = createDirectory();
    hear('old', holding(1, 90));
    hear('young', holding(50, 100));
    hear('holed', holding(1, 100, [{ from: 20, to: 95 }]));
    for (let turn = 0; turn < 10; turn++) {
      expect(['old', 'holed']).toContain(chosen(10));
      expect(chosen(30)).toBe('old');
      expect(['old', 'young']).toContain(chosen(60));
      expect(chosen(95)).toBe('young');
      expect(['young', 'holed']).toContain(chosen(97));
    }
    // None has it by its announcement; one of those that have got furthest may have it by now.
    expect(['young', 'holed']).toContain(chosen(101));
  });

  test('archive in another epoch of the log: what it holds is nowhere else, but not lost', () => {
    const { hear, directory } = createDirectory();
    hear('young', { ...holding(50, 100), epoch: 'e.x' });
    hear('old', holding(1, 90));
    expect(directory.lackAt('e.x', 10)).toBeUndefined();
    expect(directory.lackAt('e.x', 101)).toEqual({
      through: Number.POSITIVE_INFINITY,
      mayCome: true,
    });
    expect(directory.bounds('e.x')).toMatchObject({ epoch: 'e.x', firstSequence: 1 });
    expect(directory.bounds('e')).toMatchObject({ epoch: 'e', firstSequence: 1 });
    hear('old', holding(20, 90));
    expect(directory.lackAt('e.x', 10)).toEqual({ through: 19, mayCome: false });
    expect(directory.mayHold('e.x', { from: 10, to: 30 })).toBe(true);
    hear('old', { ...holding(20, 90), epoch: 'e.x' });
    expect(directory.lackAt('e.x', 10)).toEqual({ through: 19, mayCome: false });
  });

  test('choice: several that hold it: each has its turn, the busiest none', () => {
    const { hear, chosen, directory, clock } = createDirectory();
    for (const name of ['a', 'b', 'c']) hear(name, holding(1, 10));
    expect(new Set([chosen(5), chosen(5), chosen(5)])).toEqual(new Set(['a', 'b', 'c']));
    const busy = directory.choose('e', 5, NONE);
    void busy?.follow(new Promise(() => {}), () => clock.nowMs);
    for (let turn = 0; turn < 10; turn++) expect(chosen(5)).not.toBe(busy?.instance);
  });

  test('choice: another epoch, oneself, one that leaves, and one that was tried: not asked', () => {
    const { hear, chosen, directory } = createDirectory();
    hear('other', { ...holding(1, 10), epoch: 'f' });
    hear('self', holding(1, 10));
    hear('left', holding(1, 10), true);
    expect(chosen(5)).toBeUndefined();
    hear('here', holding(1, 10));
    expect(chosen(5)).toBe('here');
    const here = directory.choose('e', 5, NONE);
    expect(directory.choose('e', 5, new Set(here && [here]))).toBeUndefined();
  });
});

describe('archives: circuit breaker', () => {
  test('breaker: a request fails: what the archive had not announced yet is not lost', async () => {
    const { hear, directory, clock } = createDirectory();
    hear('a', holding(1, 10));
    const behind = { through: Number.POSITIVE_INFINITY, mayCome: true };
    expect(directory.lackAt('e', 20)).toEqual(behind);
    const failed = directory
      .choose('e', 20, NONE)
      ?.follow(Promise.reject(new Error('no answer')), () => clock.nowMs);
    await expect(failed).rejects.toThrow('no answer');
    expect(directory.lackAt('e', 20)).toBeUndefined();
    clock.nowMs += 10;
    hear('a', holding(1, 10));
    expect(directory.lackAt('e', 20)).toEqual(behind);
  });

  test('breaker: silent: not asked, its requests end at once; heard again: asked', async () => {
    const { hear, chosen, directory, clock } = createDirectory();
    hear('a', holding(1, 10));
    const waiting = directory
      .choose('e', 5, NONE)
      ?.follow(new Promise(() => {}), () => clock.nowMs);
    clock.nowMs += SILENCE_MS + 1;
    expect(chosen(5)).toBeUndefined();
    directory.sweep();
    await expect(waiting).rejects.toThrow('lost');
    clock.nowMs += 20_000;
    expect(chosen(5)).toBeUndefined();
    hear('a', holding(1, 10));
    expect(chosen(5)).toBe('a');
  });

  test('breaker: a request fails: all to it end, and one is a trial after a time and a sign of life', async () => {
    const { hear, chosen, directory, clock } = createDirectory();
    hear('a', holding(1, 10));
    const archive = directory.choose('e', 5, NONE);
    const nowMs = () => clock.nowMs;
    const other = archive?.follow(new Promise(() => {}), nowMs);
    const failed = archive?.follow(Promise.reject(new Error('no answer')), nowMs);
    clock.nowMs += 10;
    await expect(failed).rejects.toThrow('no answer');
    await expect(other).rejects.toThrow('lost');
    expect(chosen(5)).toBeUndefined();
    clock.nowMs += 1000;
    expect(chosen(5)).toBeUndefined();
    hear('a', holding(1, 10));
    expect(chosen(5)).toBe('a');
    // The trial is under way, so nobody else asks.
    let answer = (_: string): void => {};
    const trial = archive?.follow(new Promise<string>((resolve) => (answer = resolve)), nowMs);
    expect(chosen(5)).toBeUndefined();
    answer('here');
    expect(await trial).toBe('here');
    expect(chosen(5)).toBe('a');
  });

  test('breaker: fails again and again: asked ever more seldom', async () => {
    const { hear, chosen, directory, clock } = createDirectory();
    hear('a', holding(1, 10));
    const waits: number[] = [];
    for (let failure = 0; failure < 6; failure++) {
      const archive = directory.choose('e', 5, NONE);
      const fails = archive?.follow(Promise.reject(new Error('no')), () => clock.nowMs);
      await expect(fails).rejects.toThrow('no');
      const startMs = clock.nowMs;
      while (chosen(5) === undefined) {
        clock.nowMs += 500;
        hear('a', holding(1, 10));
      }
      waits.push(clock.nowMs - startMs);
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000]);
  });
});

describe('archives: what is nowhere', () => {
  test('lack: nobody holds it: up to the first event that anybody holds', () => {
    const { hear, directory } = createDirectory();
    expect(directory.lackAt('e', 5)).toBeUndefined();
    hear('late', holding(50, 100));
    expect(directory.lackAt('e', 5)).toEqual({ through: 49, mayCome: false });
    hear('holed', holding(1, 100, [{ from: 3, to: 20 }]));
    expect(directory.lackAt('e', 5)).toEqual({ through: 20, mayCome: false });
    hear('behind', holding(1, 4));
    expect(directory.lackAt('e', 5)).toEqual({ through: 20, mayCome: true });
    hear('old', holding(1, 100));
    expect(directory.lackAt('e', 5)).toBeUndefined();
  });

  test('lack: held by one that hangs or has left: not lost, until it is gone for too long', () => {
    const { hear, directory, clock } = createDirectory();
    hear('old', holding(1, 100), true);
    clock.nowMs += ABSENCE_MS;
    hear('young', holding(50, 100));
    directory.sweep();
    expect(directory.lackAt('e', 5)).toBeUndefined();
    expect(directory.mayHold('e', { from: 1, to: 9 })).toBe(true);
    expect(directory.bounds('e')).toEqual({ epoch: 'e', firstSequence: 1, lastSequence: 100 });
    clock.nowMs += 1;
    directory.sweep();
    expect(directory.lackAt('e', 5)).toEqual({ through: 49, mayCome: false });
    expect(directory.mayHold('e', { from: 1, to: 9 })).toBe(false);
  });

  test('lack: beyond what one announced before it hung: it may have it; once replaced, not', () => {
    const { hear, directory, clock } = createDirectory();
    hear('hung', holding(1, 40));
    clock.nowMs += SILENCE_MS + 1;
    hear('young', holding(60, 100));
    directory.sweep();
    expect(directory.lackAt('e', 41)).toBeUndefined();
    // The same archive after a restart: it had not got further.
    hear('hung2', holding(1, 100, [{ from: 41, to: 59 }]));
    directory.sweep();
    expect(directory.lackAt('e', 41)).toEqual({ through: 59, mayCome: false });
  });

  test('replaced: only by the same archive with all that it had', () => {
    const { hear, directory, clock } = createDirectory();
    const knows = () => directory.mayHold('e', { from: 9, to: 9 });
    hear('old', holding(1, 100, [{ from: 10, to: 19 }]));
    clock.nowMs += SILENCE_MS + 1;
    hear('old1', holding(10, 200));
    hear('other', holding(10, 200));
    directory.sweep();
    expect(knows()).toBe(true);
    hear('old2', holding(1, 200, [{ from: 12, to: 15 }]));
    directory.sweep();
    hear('old2', holding(50, 200));
    expect(knows()).toBe(false);
  });

  test('settled: only when each archive has had time to announce itself, after each connection', () => {
    const { directory, clock } = createDirectory();
    expect(directory.settled).toBe(false);
    clock.nowMs += 1500;
    expect(directory.settled).toBe(true);
    directory.begin();
    expect(directory.settled).toBe(false);
  });

  test('remembered: may hold anything, until its archive announces itself or stays away', () => {
    const { hear, directory, clock } = createDirectory();
    const told = (archive: string) => {
      return { instance: `${archive}0`, archive, leaving: false, holdings: holding(1, 0) };
    };
    directory.awaitMemory();
    clock.nowMs += 1500;
    expect(directory.settled).toBe(false);
    directory.remember([told('a'), told('b')]);
    expect(directory.settled).toBe(true);
    expect(directory.available).toBe(0);
    const knows = () => directory.mayHold('e', { from: 9, to: 9 });
    expect(knows()).toBe(true);
    expect(directory.lackAt('e', 9)).toBeUndefined();
    hear('a1', holding(50, 60));
    directory.sweep();
    expect(knows()).toBe(true);
    clock.nowMs += ABSENCE_MS + 1;
    hear('a1', holding(50, 60));
    directory.sweep();
    expect(knows()).toBe(false);
    expect(directory.lackAt('e', 9)).toEqual({ through: 49, mayCome: false });
  });

  test('memory that cannot be read: awaited for a while', () => {
    const { directory, clock } = createDirectory();
    directory.awaitMemory();
    clock.nowMs += 9999;
    expect(directory.settled).toBe(false);
    clock.nowMs += 1;
    expect(directory.settled).toBe(true);
  });

  test('part: the first that another one holds, as far as it holds it', () => {
    const { hear, directory } = createDirectory();
    hear('a', holding(10, 100, [{ from: 20, to: 29 }]));
    hear('b', holding(5, 7));
    expect(directory.firstHeld('e', { from: 1, to: 50 })).toEqual({ from: 5, to: 7 });
    expect(directory.firstHeld('e', { from: 8, to: 50 })).toEqual({ from: 10, to: 19 });
    expect(directory.firstHeld('e', { from: 20, to: 25 })).toBeUndefined();
    expect(directory.firstHeld('e', { from: 20, to: 40 })).toEqual({ from: 30, to: 40 });
  });
});
