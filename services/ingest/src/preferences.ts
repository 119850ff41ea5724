import type { IncomingHttpHeaders } from 'node:http';

const PREFERENCE = /(?:^|,)\s*([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s",;]*)))?/g;

/**
 * The preference (RFC 7240) for which the answer has no body: `return=minimal`, or `reply`, with which brokers
 * of Knative say that they take a body for an event, and an answer that is none for a fault.
 *
 * @returns the preference as `Preference-Applied` names it; `undefined` where the answer is to have a body
 */
export function readBodyless(headers: IncomingHttpHeaders): string | undefined {
  for (const { name, value } of readPreferences(headers)) {
    if (name === 'return' && value === 'minimal') return 'return=minimal';
    if (name === 'reply') return 'reply';
  }
  return undefined;
}

/** The preference for a batch whose events of one topic are stored one after the other (PROTOCOL.md section 10). */
export const ORDERED = 'ordered';

/** Whether the events of one topic are to be stored one after the other. */
export function isOrdered(headers: IncomingHttpHeaders): boolean {
  return readPreferences(headers).some(({ name }) => name === ORDERED);
}

function readPreferences({ prefer }: IncomingHttpHeaders) {
  if (prefer === undefined) return [];
  const text = Array.isArray(prefer) ? prefer.join() : prefer;
  return Array.from(text.matchAll(PREFERENCE), ([, name = '', quoted, plain]) => ({
    name: name.toLowerCase(),
    value: (quoted ?? plain ?? '').toLowerCase(),
  }));
}
