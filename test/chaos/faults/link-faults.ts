import { setTimeout as sleep } from 'node:timers/promises';
import type { Link } from '../world/link.ts';
import type { PlannedFault } from './plan.ts';

const DELAY_MS = 300;

/** Breaks a link, and mends it after a time. */
export async function breakLink(
  link: Link,
  fault: PlannedFault['fault'],
  lastsMs: number,
): Promise<void> {
  if (fault === 'delay') link.delay(DELAY_MS);
  else if (fault === 'cut') link.set('cut');
  else if (fault === 'half-open') link.set('silent');
  else link.set(lastsMs % 2 === 0 ? 'deaf' : 'mute');
  await sleep(lastsMs);
  link.delay(0);
  link.set('open');
}
