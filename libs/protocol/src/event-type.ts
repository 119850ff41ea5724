import { findText } from './event-attributes.ts';

const NAME = Buffer.from('"type"');

/**
 * The `type` of an event of the log, from its JSON. The fan-out path does not parse events, and this looks at
 * them no further than to their type: 0.3 µs where the attributes come first.
 *
 * @returns the empty text where the JSON is no event
 */
export function eventType(json: Uint8Array): string {
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  const type = findText(bytes, NAME);
  if (type !== undefined) return type;
  return parsedType(bytes.toString());
}

/** Not as services write it: with white space, or with the name escaped. Nobody sealed what is not an event. */
function parsedType(text: string): string {
  try {
    const { type } = JSON.parse(text) as { readonly type?: unknown };
    return typeof type === 'string' ? type : '';
  } catch {
    return '';
  }
}
