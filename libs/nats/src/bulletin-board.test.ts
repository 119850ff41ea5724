import type { Bulletin } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { BULLETIN_AGE_MAX_MS, BULLETINS_MAX, BulletinBoard } from './bulletin-board.ts';

function bulletin(instance: string, more: object = {}): Bulletin {
  return { service: 'ingest', instance, version: '1', ready: true, ...more } as Bulletin;
}

function create() {
  let nowMs = 0;
  const board = new BulletinBoard(() => nowMs);
  const names = () => board.list().map((one) => one.bulletin.instance);
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { board, names, pass };
}

test('a process that falls silent: is shown with its age, and after 10 s no longer', () => {
  const { board, names, pass } = create();
  board.post(bulletin('a'));
  pass(4000);
  board.post(bulletin('b'));
  expect(board.list().map(({ seenMs }) => seenMs)).toEqual([4000, 0]);
  pass(BULLETIN_AGE_MAX_MS - 3999);
  expect(names()).toEqual(['b']);
});

test('a process that leaves: is gone at once', () => {
  const { board, names } = create();
  board.post(bulletin('a'));
  board.post(bulletin('a', { leaving: true }));
  expect(names()).toEqual([]);
});

test('more processes than there is room for: those that are known stay, the others are counted', () => {
  const { board, names, pass } = create();
  for (let n = 0; n < BULLETINS_MAX + 5; n++) board.post(bulletin(`i${n}`));
  expect(names()).toHaveLength(BULLETINS_MAX);
  expect(board.ignored).toBe(5);
  pass(BULLETIN_AGE_MAX_MS + 1);
  board.post(bulletin('new'));
  expect(names()).toEqual(['new']);
});

test('a board is settled once every process has had the time to publish', () => {
  const { board, pass } = create();
  expect(board.settled).toBe(false);
  board.begin();
  pass(2499);
  expect(board.settled).toBe(false);
  pass(1);
  expect(board.settled).toBe(true);
});

test('the order: by service, then by name', () => {
  const { board, names } = create();
  for (const [instance, service] of [
    ['z', 'gateway'],
    ['b', 'replay'],
    ['a', 'ingest'],
    ['a2', 'gateway'],
  ] as const) {
    board.post(bulletin(instance, { service }));
  }
  expect(names()).toEqual(['a2', 'z', 'a', 'b']);
});
