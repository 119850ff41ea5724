import { expect, test } from 'vitest';
import { twoProcesses } from '../../../../test/support/other-processes.ts';
import { MESSAGE_COST_BYTES, MessageBytes } from './message-bytes.ts';

const PER_SECOND = 100_000;
const TENTH = PER_SECOND / 10 - MESSAGE_COST_BYTES;

function sendTenths(bytes: MessageBytes, times: number, nowMs: number, user = 'a'): number {
  return Array.from({ length: times }, () => bytes.takeMessage(user, TENTH, nowMs)).at(-1) ?? 0;
}

test('bytes of a user: a burst of a second is free, more waits as long as it takes', () => {
  const bytes = new MessageBytes(PER_SECOND);
  expect(sendTenths(bytes, 10, 0)).toBe(0);
  expect(sendTenths(bytes, 1, 0)).toBe(100);
  expect(sendTenths(bytes, 1, 0)).toBe(200);
  expect(sendTenths(bytes, 1, 300)).toBe(0);
});

test('bytes of a user: nobody else waits, and small messages cost too', () => {
  const bytes = new MessageBytes(PER_SECOND);
  expect(sendTenths(bytes, 20, 0)).toBe(1000);
  expect(sendTenths(bytes, 10, 0, 'b')).toBe(0);
  const small = Array.from({ length: 1000 }, () => bytes.takeMessage('c', 10, 0));
  expect(small.findIndex((waitMs) => waitMs > 0)).toBe(Math.floor(PER_SECOND / 266));
});

test('bytes of a user: the wait has a limit, and is not forgotten before it is over', () => {
  const bytes = new MessageBytes(PER_SECOND);
  expect(bytes.takeMessage('a', 1e9, 0)).toBe(10_000);
  expect(bytes.takeMessage('a', 0, 9000)).toBeGreaterThan(1000);
  bytes.takeMessage('b', 1, 11_000);
  bytes.takeMessage('b', 1, 22_000);
  expect(sendTenths(bytes, 10, 22_000)).toBe(0);
});

test('bytes of a user: what another process reads from the user counts', () => {
  const [one, two] = twoProcesses().map((others) => new MessageBytes(PER_SECOND, others, () => 0));
  expect(one?.take('alice', PER_SECOND / 2, 0)).toBe(0);
  expect(two?.take('alice', PER_SECOND / 2, 0)).toBe(0);
  expect(one?.take('alice', PER_SECOND / 10, 0)).toBe(100);
  expect(two?.take('alice', PER_SECOND / 10, 0)).toBe(200);
  expect(two?.take('bob', PER_SECOND / 2, 0)).toBe(0);
});
