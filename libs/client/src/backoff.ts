import type { Environment } from './environment.ts';

const FIRST_MS = 500;
const MOST_MS = 20_000;
/** From here on waits have their full length. */
export const SLOW_ATTEMPT = 6;

/** Full jitter: many clients that were cut off at once come back spread over the whole time. */
export function backoffMs(attempt: number, { random }: Environment): number {
  return random() * Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt, SLOW_ATTEMPT));
}

/** Resolves after the time, or when the signal ends it. */
export function pause(ms: number, environment: Environment, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = environment.timer(done, ms);
    if (signal?.aborted) done();
    else signal?.addEventListener('abort', done);
  });
}
