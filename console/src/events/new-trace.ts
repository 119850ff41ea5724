import { configuration } from '../api/configuration.ts';

/** A sampled `traceparent`, so that the way of an event can be looked at; none where nobody keeps traces. */
export function newTraceparent(): string | undefined {
  if (!configuration.value?.traces) return undefined;
  return `00-${hex(16)}-${hex(8)}-01`;
}

function hex(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
