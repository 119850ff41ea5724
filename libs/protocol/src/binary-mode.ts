import { type Fault, TidemarkError } from './errors.ts';
import { parseExact } from './exact-json.ts';

/** The content type of a body that is one whole CloudEvent. */
export const STRUCTURED_TYPE = 'application/cloudevents+json';

/** The content type of a body that is a JSON array of CloudEvents. */
export const BATCH_TYPE = 'application/cloudevents-batch+json';

/** A header with its value as text, `undefined` where its bytes are not UTF-8. */
export type Header = readonly [name: string, value: string | undefined];

/**
 * Builds the JSON form of a CloudEvent in binary mode, where `ce-` headers hold the attributes and
 * the body holds the data. The rule is the same over HTTP (HTTP binding, section 3.1) and on NATS
 * (NATS binding, section 3.1). What comes out is unchecked: give it to `parseEvent`.
 *
 * @param headers names in any case with their first value; those without `ce-` are ignored
 * @param contentType of the body, `undefined` or empty when there is none
 * @param body the data as it was sent; no bytes mean no data
 * @throws SyntaxError when the content type is JSON and the body is UTF-8 but no JSON
 * @throws TidemarkError `invalid_event` when a header has no place in an event or is not UTF-8
 */
export function fromBinaryMode(
  headers: Iterable<Header>,
  contentType: string | undefined,
  body: Uint8Array,
): Record<string, unknown> {
  const type = contentType?.trim() ?? '';
  return {
    ...readAttributes(headers),
    ...(type !== '' && { datacontenttype: type }),
    ...(body.length > 0 && readData(type, body)),
  };
}

/** Whether text of this content type is UTF-8, as it is without a charset, or ASCII, which is a part of it. */
export function hasUtf8Charset(contentType: string): boolean {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType)?.[1];
  return charset === undefined || /^(?:utf-?8|(?:us-)?ascii)$/i.test(charset);
}

/**
 * The text of a header whose bytes were read as Latin-1, as HTTP servers do. Publishers send UTF-8, but some
 * HTTP clients of JavaScript send letters such as `ü` as Latin-1. Those are told apart: no such letter is a
 * byte that goes on with a character of UTF-8, and a character of UTF-8 that is cut or overlong has such a byte.
 *
 * @returns `undefined` when the bytes are neither
 */
export function fromLatin1(value: string): string | undefined {
  if (ASCII.test(value)) return value;
  try {
    return exactUtf8.decode(Uint8Array.from(value, (character) => character.charCodeAt(0)));
  } catch {
    return LATIN1_LETTERS.test(value) ? value : undefined;
  }
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

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant.
const ASCII = /^[\x00-\x7f]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII, and À to ý.
const LATIN1_LETTERS = /^[\x00-\x7f\xc0-\xfd]*$/;
const exactUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Attributes of the JSON format that the body and its content type hold in binary mode. */
const NOT_HEADERS = new Set(['data', 'data_base64', 'datacontenttype']);

const QUOTED = /^"(?:[^"\\]|\\.)*"$/s;
const ENCODED_BYTES = /(?:%[0-9a-f]{2})+/gi;

function readAttributes(headers: Iterable<Header>): Record<string, unknown> {
  const event: Record<string, unknown> = {};
  const faults: Fault[] = [];
  for (const [header, value] of headers) {
    const lower = header.toLowerCase();
    if (!lower.startsWith('ce-')) continue;
    const name = lower.slice(3);
    const text = value === undefined ? undefined : decodeValue(value);
    if (NOT_HEADERS.has(name)) faults.push({ path: name, message: 'must not be a ce- header' });
    else if (text === undefined) faults.push({ path: name, message: 'must be UTF-8' });
    else event[name] = text;
  }
  const [first] = faults;
  if (!first) return event;
  throw new TidemarkError('invalid_event', `${first.path} ${first.message}.`, { faults });
}

/**
 * The value of an attribute in a header (HTTP binding, section 3.1.3.2). A percent sign without two
 * hexadecimal digits stands for itself.
 *
 * @returns `undefined` when the encoded bytes are not UTF-8, which overlong forms never are
 */
function decodeValue(value: string): string | undefined {
  const text = QUOTED.test(value) ? value.slice(1, -1).replace(/\\(.)/gs, '$1') : value;
  try {
    return text.replace(ENCODED_BYTES, decodeURIComponent);
  } catch {
    return undefined;
  }
}

/** The body as `data` where it is JSON or text that can be told for certain, and as `data_base64` otherwise. */
function readData(type: string, body: Uint8Array): Record<string, unknown> {
  const isText = type === '' || isJsonType(type) || /^text\//i.test(type);
  const text = isText && hasUtf8Charset(type) ? textOf(body) : undefined;
  if (text === undefined) return { data_base64: toBase64(body) };
  if (type !== '' && !isJsonType(type)) return { data: text };
  try {
    // A byte order mark is no part of the JSON (RFC 8259, section 8.1).
    return { data: parseExact(text.replace(/^\ufeff/, '')) };
  } catch (error) {
    // A body without a type may be anything.
    if (type === '') return { data_base64: toBase64(body) };
    throw error;
  }
}

function textOf(body: Uint8Array): string | undefined {
  try {
    return exactUtf8.decode(body);
  } catch {
    return undefined;
  }
}

function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
