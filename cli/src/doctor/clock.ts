import { type Finding, fault, note, ok } from './finding.ts';

/** Tokens are accepted with clocks that differ so much, where nothing else is configured. */
const TOLERATED_MS = 5000;

/** Below it nothing can be said: an HTTP date has whole seconds. */
const UNKNOWN_MS = 2000;

/** A time that something else said, between two of ours. */
export interface ClockReading {
  readonly check: string;
  readonly theirMs: number;
  readonly askedMs: number;
  readonly answeredMs: number;
  /** How coarse their time is. */
  readonly resolutionMs: number;
}

/** Compares a clock with that of this machine. */
export function judgeClock(reading: ClockReading): Finding {
  const { check, theirMs, askedMs, answeredMs, resolutionMs } = reading;
  // Any moment of the request may be the one, and any within the resolution.
  const early = askedMs - (theirMs + resolutionMs);
  const late = theirMs - answeredMs;
  const differsMs = Math.max(0, early, late);
  const direction = early > late ? 'behind' : 'ahead of';
  const seconds = (differsMs / 1000).toFixed(1);
  const text = `Its clock is ${seconds} s ${direction} that of this machine.`;
  const advice = 'Let NTP set both clocks; tokens are refused where they differ by more than 5 s.';
  if (differsMs > TOLERATED_MS) return fault(check, text, advice);
  if (differsMs > UNKNOWN_MS) return note(check, text, advice);
  return ok(check, 'Its clock and that of this machine agree.');
}
