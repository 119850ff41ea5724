import type { IncomingHttpHeaders } from 'node:http';

const PREFERENCE = /(?:^|,)\s*([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s",;]*)))?/g;

/**
 * The preference (RFC 7240) for which the answer has no body: `return=minimal`, or `reply`, with which brokers
 * of Knative say that they take a body for an event, and an answer that is none for a fault.
 *
 * @returns the preference as `Preference-Applied` names it; `undefined` where the answer is to have a body
 */
export function readBodyless({ prefer }: IncomingHttpHeaders): string | undefined {
  const text = Array.isArray(prefer) ? prefer.join() : (prefer ?? '');
  for (const [, name = '', quoted, plain] of text.matchAll(PREFERENCE)) {
    const value = (quoted ?? plain ?? '').toLowerCase();
    if (name.toLowerCase() === 'return' && value === 'minimal') return 'return=minimal';
    if (name.toLowerCase() === 'reply') return 'reply';
  }
  return undefined;
}
