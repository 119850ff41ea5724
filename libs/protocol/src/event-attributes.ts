const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** A search by the runtime is faster beyond so many bytes of a string. */
const NEAR_BYTES = 64;

/**
 * Finds an attribute of an event of the log that is a text, without parsing the event: it looks no further than to
 * the attribute.
 *
 * @param quoted the name as JSON
 * @returns `undefined` where the JSON is not as `JSON.stringify` writes an object, or has no such text
 */
export function findText(bytes: Buffer, quoted: Buffer): string | undefined {
  if (bytes[0] !== OPEN_OBJECT) return undefined;
  for (let at = 1; bytes[at] === QUOTE; ) {
    const nameEnd = endOfString(bytes, at);
    if (bytes[nameEnd] !== COLON) return undefined;
    const start = nameEnd + 1;
    const end = endOfValue(bytes, start);
    if (nameEnd - at === quoted.length && quoted.compare(bytes, at, nameEnd) === 0) {
      return textOf(bytes, start, end);
    }
    if (bytes[end] !== COMMA) return undefined;
    at = end + 1;
  }
  return undefined;
}

/** The text of a JSON string; `undefined` for any other value. */
function textOf(bytes: Buffer, start: number, end: number): string | undefined {
  if (bytes[start] !== QUOTE) return undefined;
  const text = bytes.toString('utf8', start + 1, end - 1);
  return text.includes('\\') ? JSON.parse(bytes.toString('utf8', start, end)) : text;
}

/** The index behind a value. */
function endOfValue(bytes: Buffer, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at) - 1;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++;
    else if (depth === 0 && (byte === COMMA || byte === CLOSE_OBJECT)) return at;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) depth--;
  }
  return bytes.length;
}

/** The index behind the quote that ends a string; the length where none does. */
function endOfString(bytes: Buffer, start: number): number {
  const near = Math.min(start + NEAR_BYTES, bytes.length);
  for (let at = start + 1; at < near; at++) {
    if (bytes[at] === BACKSLASH) at++;
    else if (bytes[at] === QUOTE) return at + 1;
  }
  for (let at = bytes.indexOf(QUOTE, start + 1); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) {
    if (!isEscaped(bytes, at)) return at + 1;
  }
  return bytes.length;
}

function isEscaped(bytes: Buffer, quote: number): boolean {
  let first = quote;
  while (bytes[first - 1] === BACKSLASH) first--;
  return (quote - first) % 2 === 1;
}
