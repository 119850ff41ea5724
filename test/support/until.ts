import { setTimeout as sleep } from 'node:timers/promises';

/** How long a test waits for something to happen before it fails. */
const WAIT_MS = 15_000;
const POLL_MS = 5;

/** Waits until the condition holds. @throws Error that says what was waited for */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string) = String(condition),
  timeoutMs = WAIT_MS,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) {
      throw new Error(`Not within ${timeoutMs} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await sleep(POLL_MS);
  }
}
