/*
 * What texts the attributes of an event may hold, for all who check that: the schema, the predicates, and the readers of bytes.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: CloudEvents 1.0 section 3.2 forbids them.
export const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
export const LONE_SURROGATE = /\p{Cs}/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: both of the above in one look.
const UNFIT = /[\u0000-\u001f\u007f-\u009f\p{Cs}]/u;

export const URI_REFERENCE = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;
export const URI = /^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;
export const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;.*)?$/;

/** Whether a text has neither control characters nor halves of surrogate pairs. */
export function isPrintable(text: string): boolean {
  return !UNFIT.test(text);
}
