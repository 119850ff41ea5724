import { setTimeout as sleep } from 'node:timers/promises';

/** Waits. @throws the reason of the signal, at once where that ends the wait */
export async function wait(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    signal.throwIfAborted();
  }
}
