import { configuration } from '../api/configuration.ts';
import { randomHex } from './random.ts';

/** A sampled `traceparent`, so that the way of an event can be looked at; none where nobody keeps traces. */
export function newTraceparent(): string | undefined {
  if (!configuration.value?.traces) return undefined;
  return `00-${randomHex(16)}-${randomHex(8)}-01`;
}
