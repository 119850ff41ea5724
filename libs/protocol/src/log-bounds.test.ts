import { expect, test } from 'vitest';
import { isSameLog, toPresent } from './log-bounds.ts';

const lineage = {
  epoch: 'log.b',
  earlier: [
    { epoch: 'log', through: 10 },
    { epoch: 'log.a', through: 20 },
  ],
};

test('position of the present epoch: is where it is', () => {
  expect(toPresent(lineage, { epoch: 'log.b', sequence: 99 })).toEqual({
    sequence: 99,
    lost: false,
  });
});

test('position of an earlier epoch: up to the last that is shared it is where it was', () => {
  expect(toPresent(lineage, { epoch: 'log', sequence: 10 })).toEqual({ sequence: 10, lost: false });
  expect(toPresent(lineage, { epoch: 'log.a', sequence: 7 })).toEqual({ sequence: 7, lost: false });
});

test('position of an earlier epoch: beyond that it is lost', () => {
  expect(toPresent(lineage, { epoch: 'log', sequence: 11 })).toEqual({ sequence: 10, lost: true });
});

test('position of another log: is nowhere', () => {
  expect(toPresent(lineage, { epoch: 'other', sequence: 1 })).toBeUndefined();
  expect(toPresent({ epoch: 'log' }, { epoch: 'log.a', sequence: 1 })).toBeUndefined();
});

test('epochs of one log: have the same name up to the first dot', () => {
  expect(isSameLog('log', 'log.b')).toBe(true);
  expect(isSameLog('log.a', 'log.b')).toBe(true);
  expect(isSameLog('log', 'logs')).toBe(false);
});
