import { isTime, parseTime } from './cursors.ts';
import { TidemarkError } from './errors.ts';
import { findText } from './event-attributes.ts';

/** The expiry of an event without `expires`. */
export const NEVER_MS = Number.POSITIVE_INFINITY;

const NAME = Buffer.from('"expires"');

/**
 * What every event that expires holds: the end of the name. A search for it takes half of the time, because quotes are
 * frequent. It does not begin with the `x` of the name: texts that are filled up with `x` would take six times as long.
 */
export const END_OF_EXPIRES = NAME.subarray(4);

/**
 * When an event of the log expires (PROTOCOL.md section 3.1), from its JSON. Most events never do: for these it takes
 * one search for a short text, 0.2 µs in 300 bytes. Nothing asks on the way of live events.
 *
 * @returns milliseconds since 1970; `NEVER_MS` without such a time
 */
export function eventExpiryMs(json: Uint8Array): number {
  if (Buffer.prototype.indexOf.call(json, END_OF_EXPIRES) === -1) return NEVER_MS;
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  return expiryMs(findText(bytes, NAME));
}

/** The same from the attribute itself, which may be anything. */
export function expiryMs(expires: unknown): number {
  return typeof expires === 'string' && isTime(expires) ? parseTime(expires) : NEVER_MS;
}

/**
 * Requires that an event which a publisher sends has not expired yet.
 *
 * @param path the event's path in the client's input
 * @throws TidemarkError `invalid_event`
 */
export function refuseExpired(event: { readonly expires?: unknown }, nowMs: number, path = '') {
  if (expiryMs(event.expires) > nowMs) return;
  const fault = {
    path: path === '' ? 'expires' : `${path}.expires`,
    message: 'must be later than now',
  };
  throw new TidemarkError('invalid_event', `${fault.path} ${fault.message}.`, { faults: [fault] });
}
