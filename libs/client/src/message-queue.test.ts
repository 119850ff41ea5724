import { describe, expect, test } from 'vitest';
import { MessageQueue } from './message-queue.ts';
import type { Message } from './types.ts';

const SIZE = 10;

const event = (topic: string, n: number) => ({
  message: {
    type: 'event',
    event: { specversion: '1.0', id: String(n), source: '/s', type: 't', topic },
    cursor: `e-${n}`,
  } as Message,
  size: SIZE,
  after: `e-${n}`,
});

function takeAll(queue: MessageQueue) {
  const taken: (string | object)[] = [];
  for (let item = queue.take(); item; item = queue.take()) {
    const { message, after } = item;
    taken.push(message.type === 'event' ? message.event.id : { ...message, after });
  }
  return taken;
}

describe('message queue', () => {
  test('all: keeps every event', () => {
    const queue = new MessageQueue();
    for (const n of [1, 2, 3]) queue.push(event('a', n));
    expect(takeAll(queue)).toEqual(['1', '2', '3']);
  });

  test('latest: keeps the newest of each topic at its place, and says how many it skipped', () => {
    const queue = new MessageQueue('latest');
    for (const [n, topic] of ['a', 'b', 'a', 'a', 'c'].entries()) queue.push(event(topic, n + 1));
    const skipped = (count: number, n: number) => ({
      type: 'skipped',
      count,
      cursor: `e-${n}`,
      after: `e-${n}`,
    });
    expect(takeAll(queue)).toEqual([skipped(1, 1), '2', skipped(1, 3), '4', '5']);
  });

  test('latest: what was taken is skipped no more, and what is skipped takes no bytes', () => {
    const queue = new MessageQueue('latest');
    queue.push(event('a', 1));
    expect(queue.take()?.message).toMatchObject({ cursor: 'e-1' });
    for (let n = 2; n <= 400_000; n++) {
      queue.push(event('a', n));
      if (queue.isFull) break;
    }
    // By their number, and not by their bytes.
    expect(queue.length).toBe(1000);
    expect(takeAll(queue)).toEqual([expect.objectContaining({ count: 999 }), '1001']);
    expect(queue.isHalfEmpty).toBe(true);
  });

  test('latest: one of the last events: stays, since there is no position to skip it to', () => {
    const queue = new MessageQueue('latest');
    queue.push({ ...event('a', 1), after: undefined });
    queue.push(event('a', 2));
    expect(takeAll(queue)).toEqual(['1', '2']);
  });
});
