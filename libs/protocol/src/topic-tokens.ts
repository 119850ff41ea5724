const ESCAPE = /_-((?:[0-9a-f]{2})+)-_/g;
const FOREIGN = /[^A-Za-z0-9_-]+/g;

/** An underscore that would begin an escape in the encoded text, where the next foreign character begins one. */
const AMBIGUOUS = /_(?=-(?:[0-9a-f]{2})+-(?:_|[^A-Za-z0-9_-]))/g;

/**
 * Encodes any text, such as the `sub` of an identity provider, as one token of a topic (PROTOCOL.md section 2.1).
 * Different texts have different tokens. A text that is a token already stays as it is, unless it holds an escape.
 *
 * @returns `undefined` for an empty text, and for one that is not well-formed Unicode. The token may be too
 *   long for a topic.
 *
 * @example encodeTopicToken('auth0|x') // 'auth0_-7c-_x'
 */
export function encodeTopicToken(text: string): string | undefined {
  if (text === '' || !text.isWellFormed()) return undefined;
  // The underscores first: what this writes in their place is no foreign character, and ends with a whole escape.
  return text.replace(AMBIGUOUS, escapeBytes('_')).replace(FOREIGN, escapeBytes);
}

/**
 * The text that a token stands for.
 *
 * @returns `undefined` for a token that no text has
 */
export function decodeTopicToken(token: string): string | undefined {
  try {
    const text = token.replace(ESCAPE, (_, hex: string) => {
      return decodeURIComponent(hex.replace(/../g, '%$&'));
    });
    return encodeTopicToken(text) === token ? text : undefined;
  } catch {
    return undefined;
  }
}

function escapeBytes(text: string): string {
  const bytes = Array.from(new TextEncoder().encode(text));
  return `_-${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')}-_`;
}
