import { pause } from './link.ts';

/** The time of appends and of what they wait for, in ms, and random numbers from 0 up to 1. */
export interface AppendClock {
  nowMs(): number;
  random(): number;
  /** Rejects once the signal is aborted. */
  pause(ms: number, signal?: AbortSignal): Promise<unknown>;
}

/** The process's own clock. */
export const PROCESS_CLOCK: AppendClock = {
  nowMs: () => performance.now(),
  random: Math.random,
  pause,
};
