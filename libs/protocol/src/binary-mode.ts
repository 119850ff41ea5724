/** The content type of a body that is one whole CloudEvent. */
export const STRUCTURED_TYPE = 'application/cloudevents+json';

/** The content type of a body that is a JSON array of CloudEvents. */
export const BATCH_TYPE = 'application/cloudevents-batch+json';

/**
 * Builds the JSON form of a CloudEvent in binary mode, where `ce-` headers hold the attributes and
 * the body holds the data. The rule is the same over HTTP (HTTP binding, section 3.1) and on NATS
 * (NATS binding, section 3.1). What comes out is unchecked: give it to `parseEvent`.
 *
 * @param headers names in any case with their first value; those without `ce-` are ignored
 * @param contentType of the body, `undefined` when there is none
 * @param body the data as it was sent; no bytes mean no data
 * @throws SyntaxError when the content type is JSON and the body is not, or when text is not UTF-8
 */
export function fromBinaryMode(
  headers: Iterable<readonly [name: string, value: string]>,
  contentType: string | undefined,
  body: Uint8Array,
): Record<string, unknown> {
  const event: Record<string, unknown> = {};
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower.startsWith('ce-')) event[lower.slice(3)] = percentDecode(unquote(value));
  }
  if (contentType !== undefined) event.datacontenttype = contentType;
  if (body.length === 0) return event;
  if (contentType === undefined || isJsonType(contentType)) {
    event.data = JSON.parse(decodeUtf8(body));
  } else if (contentType.startsWith('text/')) {
    event.data = decodeUtf8(body);
  } else {
    event.data_base64 = toBase64(body);
  }
  return event;
}

/** Whether a content type is JSON: `application/json`, `text/json` or any that ends in `+json`. */
export function isJsonType(contentType: string): boolean {
  return /^[^;]*[/+]json\s*(?:;|$)/i.test(contentType);
}

/**
 * The text of UTF-8 bytes.
 *
 * @throws SyntaxError when they are not UTF-8
 */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SyntaxError('The body is not UTF-8.', { cause });
  }
}

/** Undoes double quotes (HTTP binding, section 3.1.3.2, and RFC 9110 section 5.6.4). */
function unquote(value: string): string {
  return /^".*"$/s.test(value) ? value.slice(1, -1).replace(/\\(.)/gs, '$1') : value;
}

function percentDecode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    // A stray percent sign: the HTTP binding, section 3.1.3.2, leaves such text as it is.
    return value;
  }
}

function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
