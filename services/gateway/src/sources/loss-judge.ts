import { isSameLog, type LogBounds } from '@tidemark/protocol';
import type { EventLog } from '../log/event-log.ts';
import type { Clock } from '../scheduling/clock.ts';
import { lastInCommon, type StoredMs } from './divergence.ts';

/** How long the gateway waits for replay to give a log that lost its end a new epoch. */
export const EPOCH_WAIT_MS = 5000;

export interface LossJudgeOptions {
  readonly clock: Clock;
  readonly readMs: StoredMs;
}

/**
 * Finds whether the log lost its end. Replay then gives it a new epoch, so that every cursor tells whether
 * what it names is lost. The gateway waits for that. Where no replay service does it, the gateway goes on
 * without a new epoch: its own clients are told, and those that are away are not.
 */
export class LossJudge {
  readonly #options: LossJudgeOptions;
  #sinceMs: number | undefined;

  constructor(options: LossJudgeOptions) {
    this.#options = options;
  }

  /**
   * @returns the last sequence that the stream shares with the log, if they diverge
   * @throws Error while the gateway waits for the new epoch
   */
  async judge(stream: LogBounds, log: EventLog): Promise<number | undefined> {
    const { clock, readMs } = this.#options;
    if (!isSameLog(stream.epoch, log.epoch)) return this.#passed(undefined);
    const end = await lastInCommon(log.tail, stream, readMs);
    // What was lost before any archive had it shows in this log alone, also where the epoch is a new one.
    if (stream.epoch !== log.epoch) return this.#passed(end);
    if (end === undefined && !log.isBeyond(stream.lastSequence)) return this.#passed(undefined);
    const nowMs = clock.nowMs();
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs >= EPOCH_WAIT_MS) return this.#passed(end);
    throw new Error('The log lost its end. It waits for replay to give it a new epoch.');
  }

  #passed(end: number | undefined): number | undefined {
    this.#sinceMs = undefined;
    return end;
  }
}
