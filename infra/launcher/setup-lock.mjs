import { ROOT } from './checkout.mjs';
import { Failure } from './failure.mjs';
import { takeLock } from './lock.mjs';

const POLL_MS = 500;
const TIMEOUT_MS = 15 * 60_000;

/**
 * Takes the lock of the set-up of this checkout. Waits while another process holds it.
 *
 * @param {(text: string) => void} say
 * @returns {Promise<() => Promise<void>>} the release
 */
export async function takeSetupLock(say) {
  const deadline = Date.now() + TIMEOUT_MS;
  for (let waiting = false; ; waiting = true) {
    const release = await takeLock(ROOT, 'setup');
    if (release) return release;
    if (Date.now() > deadline) throw new Failure('Another set-up of this checkout does not end.');
    if (!waiting) say('Waiting for another set-up of this checkout …');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
