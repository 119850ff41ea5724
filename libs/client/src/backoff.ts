import type { Environment } from './environment.ts';

const FIRST_MS = 500;
const MOST_MS = 20_000;
/** From here on waits have their full length. */
export const SLOW_ATTEMPT = 6;

/** Full jitter: many clients that were cut off at once come back spread over the whole time. */
export function backoffMs(attempt: number, { random }: Environment): number {
  return random() * Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt, SLOW_ATTEMPT));
}
