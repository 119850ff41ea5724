const TOKEN = '[A-Za-z0-9_-]+';
const TOPIC = new RegExp(`^${TOKEN}(\\.${TOKEN})*$`);
const PATTERN = new RegExp(`^(${TOKEN}|\\*)(\\.(${TOKEN}|\\*))*(\\.>)?$|^>$`);
const CHARACTERS_MAX = 200;
const TOKENS_MAX = 16;

/** What a token permits on topics; words of a scope such as `subscribe:orders.*` (PROTOCOL.md section 8.1). */
export type Action = 'subscribe' | 'publish' | 'history' | 'inbox';

/** Whether one of the permissions covers the whole pattern. */
export function permits(permissions: readonly string[], action: Action, pattern: string): boolean {
  return patternsFor(permissions, action).some((granted) => covers(granted, pattern));
}

/** The patterns that the permissions name for an action. */
export function patternsFor(permissions: readonly string[], action: Action): string[] {
  const prefix = `${action}:`;
  return permissions
    .filter((word) => word.startsWith(prefix))
    .map((word) => word.slice(prefix.length));
}

/** Whether a pattern matches every topic that another one matches (section 2). */
export function covers(pattern: string, other: string): boolean {
  const wide = pattern.split('.');
  const narrow = other.split('.');
  const hasRest = wide.at(-1) === '>';
  if (hasRest ? narrow.length < wide.length : narrow.length !== wide.length) return false;
  return wide.every(
    (token, index) =>
      (hasRest && index === wide.length - 1) ||
      token === narrow[index] ||
      (token === '*' && narrow[index] !== '>'),
  );
}

/** Whether a text is a topic (section 2). */
export function isTopic(text: string): boolean {
  return TOPIC.test(text) && isShort(text);
}

/** Whether a text is a pattern; each topic is one. */
export function isPattern(text: string): boolean {
  return PATTERN.test(text) && isShort(text);
}

function isShort(text: string): boolean {
  return text.length <= CHARACTERS_MAX && text.split('.').length <= TOKENS_MAX;
}

/**
 * A topic of one's own that the permissions let publish and read, such as `try.k3x9` for a token that may do everything.
 *
 * @param name one token
 * @returns `undefined` where there is none
 */
export function ownTopic(permissions: readonly string[], name: string): string | undefined {
  const candidates = patternsFor(permissions, 'publish').map((pattern) => {
    if (pattern === '>') return `try.${name}`;
    return pattern.replaceAll('*', name).replace(/>$/, name);
  });
  return candidates.find((topic) => isTopic(topic) && permits(permissions, 'subscribe', topic));
}
