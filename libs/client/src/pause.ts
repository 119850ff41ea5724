import type { Environment } from './environment.ts';

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
