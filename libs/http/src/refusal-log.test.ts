import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RefusalLog } from './refusal-log.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function setUp() {
  const lines: object[] = [];
  const log = new RefusalLog({
    info: (fields: object, message: string) => lines.push({ ...fields, message }),
  } as unknown as ConstructorParameters<typeof RefusalLog>[0]);
  const refuse = (address: string, code = 'unauthenticated') =>
    log.tell({ address }, { message: 'refused', code }, () => ({ path: '/v1/events' }));
  return { lines, refuse };
}

describe('refusal log', () => {
  test('a flood from one address: its first line and one with the number; others have theirs', () => {
    const { lines, refuse } = setUp();
    for (let n = 0; n < 10_000; n++) refuse('10.0.0.1');
    refuse('10.0.0.2');
    vi.advanceTimersByTime(1000);
    const one = { address: '10.0.0.1', code: 'unauthenticated' };
    expect(lines).toEqual([
      { ...one, path: '/v1/events', message: 'refused' },
      { ...one, address: '10.0.0.2', path: '/v1/events', message: 'refused' },
      { ...one, more: 9999, message: 'refused: more in the last second' },
    ]);
    refuse('10.0.0.1');
    expect(lines).toHaveLength(4);
  });

  test('refusals for other reasons: lines of their own', () => {
    const { lines, refuse } = setUp();
    refuse('10.0.0.1');
    refuse('10.0.0.1', 'forbidden');
    expect(lines).toHaveLength(2);
  });

  test('a flood from thousands of addresses: some hundred lines', () => {
    const { lines, refuse } = setUp();
    for (let n = 0; n < 5000; n++) refuse(`10.0.${n}`);
    vi.advanceTimersByTime(1000);
    expect(lines).toHaveLength(201);
    expect(lines.at(-1)).toEqual({ more: 4800, message: 'refused: further senders' });
  });
});
