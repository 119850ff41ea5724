import { Metrics } from '@tidemark/telemetry';
import { expect, test } from 'vitest';
import { twoProcesses } from '../../../test/support/other-processes.ts';
import { Limits } from './limits.ts';

function makeTwo() {
  return twoProcesses().map((others) => {
    return new Limits(new Metrics('test', { defaults: false }), others);
  }) as [Limits, Limits];
}

test('semaphore of two processes: what both hold counts, and what one gives back is free for the other', () => {
  const [one, two] = makeTwo().map((limits) => limits.semaphore('tests', { max: 3, of: 'tests' }));
  const release = one?.acquire('alice', 2);
  two?.acquire('alice');
  expect(() => one?.acquire('alice')).toThrow('At most 3 tests are accepted at once.');
  expect(() => two?.acquire('alice')).toThrow('At most 3 tests are accepted at once.');
  two?.acquire('bob', 3);
  release?.();
  release?.();
  two?.acquire('alice', 2);
  expect(() => one?.acquire('alice')).toThrow();
});

const REFUSED = expect.objectContaining({ code: 'limit_exceeded' });

test('rate of two processes: what both use counts', () => {
  const [one, two] = makeTwo().map((limits) => limits.rate('tests', { max: 4, of: 'tests' }));
  one?.consume('alice', 2);
  two?.consume('alice', 2);
  expect(() => one?.consume('alice')).toThrow(REFUSED);
  expect(() => two?.consume('alice')).toThrow(REFUSED);
  two?.consume('bob', 4);
});

test('failures of two processes: count together', () => {
  const [one, two] = makeTwo().map((limits) => limits.failures('tests', { max: 2, of: 'tests' }));
  one?.note('alice');
  two?.note('alice');
  expect(() => one?.check('alice')).toThrow(REFUSED);
  expect(() => two?.check('alice')).toThrow(REFUSED);
  two?.check('bob');
});
