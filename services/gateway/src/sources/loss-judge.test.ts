import type { LogBounds } from '@tidemark/protocol';
import { beforeEach, expect, test } from 'vitest';
import { EventLog } from '../log/event-log.ts';
import type { Clock } from '../scheduling/clock.ts';
import { EPOCH_WAIT_MS, LossJudge } from './loss-judge.ts';

let nowMs = 0;
let log: EventLog;
let judge: LossJudge;

beforeEach(() => {
  nowMs = 0;
  const tail = { bytesMax: 1_000_000, eventsMax: 100 };
  log = new EventLog({ tail, onAppended: () => {}, onRestarted: () => {} });
  log.begin(bounds(0));
  for (let sequence = 1; sequence <= 10; sequence++) {
    log.appendEvent({ sequence, topic: 'a', timeMs: sequence, json: Buffer.from('{}') });
  }
  const clock = { nowMs: () => nowMs } as Clock;
  judge = new LossJudge({ clock, readMs: async (sequence) => sequence });
});

function bounds(lastSequence: number, lineage: Partial<LogBounds> = {}): LogBounds {
  return { epoch: 'log', firstSequence: 1, lastSequence, ...lineage };
}

test('stream that goes on: no loss', async () => {
  expect(await judge.judge(bounds(12), log)).toBeUndefined();
});

test('stream that ends before the log: waits for a new epoch, and not for ever', async () => {
  await expect(judge.judge(bounds(8), log)).rejects.toThrow('waits for replay');
  nowMs = EPOCH_WAIT_MS - 1;
  await expect(judge.judge(bounds(8), log)).rejects.toThrow('waits for replay');
  nowMs = EPOCH_WAIT_MS;
  expect(log.begin(bounds(8), await judge.judge(bounds(8), log))).toBe(8);
});

test('new epoch: no wait, and the log goes on where it is shared', async () => {
  await expect(judge.judge(bounds(8), log)).rejects.toThrow('waits for replay');
  const next = bounds(20, { epoch: 'log.a', earlier: [{ epoch: 'log', through: 6 }] });
  expect(log.begin(next, await judge.judge(next, log))).toBe(6);
  expect(log.epoch).toBe('log.a');
});

test('new epoch for a later loss than the one that this log shows: the earlier one counts', async () => {
  const readMs = async (sequence: number) => (sequence > 4 ? sequence + 100 : sequence);
  judge = new LossJudge({ clock: { nowMs: () => nowMs } as Clock, readMs });
  const next = bounds(20, { epoch: 'log.a', earlier: [{ epoch: 'log', through: 9 }] });
  expect(log.begin(next, await judge.judge(next, log))).toBe(4);
});

test('loss after one that passed: is waited for as long again', async () => {
  await expect(judge.judge(bounds(8), log)).rejects.toThrow('waits for replay');
  expect(await judge.judge(bounds(10), log)).toBeUndefined();
  nowMs = EPOCH_WAIT_MS;
  await expect(judge.judge(bounds(9), log)).rejects.toThrow('waits for replay');
});
