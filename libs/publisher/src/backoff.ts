const FIRST_MS = 100;
const MOST_MS = 5000;

/** Full jitter: publishers that failed at once come back spread over the whole time. */
export function backoffMs(attempt: number, firstMs = FIRST_MS): number {
  return Math.random() * Math.min(MOST_MS, firstMs * 2 ** Math.min(attempt, 16));
}

/** Resolves after the time, or as soon as the other promise has an end. */
export function pause(ms: number, end: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.min(ms, TIMER_MS_MAX));
    end.finally(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The longest time that timers take. */
const TIMER_MS_MAX = 2 ** 31 - 1;
