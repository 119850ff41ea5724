import { EventEmitter } from 'node:events';
import type { Principal } from '@tidemark/auth';
import type { Request, Response } from '@tidemark/http';
import { BulletinBoard } from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { statsEndpoint } from './stats-endpoint.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const operator: Principal = { subject: 'o', grants: [], admin: true, expiresAtMs: 0 };

/** The answer to a client that reads, until it does not. */
class Answer extends EventEmitter {
  readonly blocks: string[] = [];
  writableNeedDrain = false;
  destroyed = false;
  ended: string | undefined;
  readonly req = { method: 'GET' };
  vary(): void {}
  set(): void {}
  write(block: string): void {
    this.blocks.push(block);
  }
  end(block = ''): void {
    this.ended = block;
    this.emit('close');
  }
  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function open(confirm: () => void = () => {}) {
  const leaving = new AbortController();
  let held = 0;
  const acquire = () => {
    held++;
    return () => {
      held--;
    };
  };
  const endpoint = statsEndpoint({
    ...{
      board: new BulletinBoard(),
      limits: { semaphore: () => ({ acquire, take: acquire, give: () => {} }) },
    },
    ...{ confirm, signal: leaving.signal },
  });
  const request = { accepts: () => 'text/event-stream' } as unknown as Request;
  const connect = () => {
    const answer = new Answer();
    void endpoint.methods.GET?.serve(request, answer as unknown as Response, operator);
    return answer;
  };
  return { connect, stop: () => leaving.abort(), held: () => held };
}

test('a client that does not read: gets fewer blocks, and is cut off; another one gets all', () => {
  const { connect, held } = open();
  const [reading, stuck] = [connect(), connect()];
  vi.advanceTimersByTime(2000);
  stuck.writableNeedDrain = true;
  vi.advanceTimersByTime(5000);
  expect([reading.blocks.length, stuck.blocks.length]).toEqual([8, 3]);
  stuck.writableNeedDrain = false;
  vi.advanceTimersByTime(1000);
  expect(stuck.blocks).toHaveLength(4);
  stuck.writableNeedDrain = true;
  vi.advanceTimersByTime(10_000);
  expect(stuck.destroyed).toBe(false);
  vi.advanceTimersByTime(1000);
  expect([stuck.destroyed, reading.destroyed]).toEqual([true, false]);
  expect(held()).toBe(1);
});

test('a token that ends, or is revoked: the stream ends with the reason, and nothing is left', () => {
  let fault: TidemarkError | undefined;
  const { connect, held } = open(() => {
    if (fault) throw fault;
  });
  const answer = connect();
  vi.advanceTimersByTime(1000);
  expect(answer.ended).toBeUndefined();
  fault = new TidemarkError('unauthenticated', 'The token is revoked.');
  vi.advanceTimersByTime(1000);
  expect(answer.ended).toMatch(/^event: error\ndata: \{"code":"unauthenticated"/);
  expect([held(), vi.getTimerCount()]).toEqual([0, 0]);
});

test('the gateway stops: all streams end', () => {
  const { connect, stop, held } = open();
  const answers = [connect(), connect()];
  stop();
  expect(answers.map(({ ended }) => ended)).toEqual(['', '']);
  expect([held(), vi.getTimerCount()]).toEqual([0, 0]);
});
