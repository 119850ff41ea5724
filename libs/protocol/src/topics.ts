import { TidemarkError } from './errors.ts';

/** Most tokens of a topic or pattern (PROTOCOL.md section 2). */
export const TOPIC_TOKENS_MAX = 16;

/** Longest topic or pattern, in bytes. */
export const TOPIC_BYTES_MAX = 200;

/** Most patterns of one subscription or query. */
export const PATTERNS_MAX = 100;

/** The wildcards as character codes. No token begins with one of these. */
const ANY = '*'.charCodeAt(0);
const REST = '>'.charCodeAt(0);

const TOKEN = '[A-Za-z0-9_-]+';
const TOPIC = new RegExp(`^${TOKEN}(?:\\.${TOKEN})*$`);
const PATTERN = new RegExp(`^(?:>|(?:${TOKEN}|\\*)(?:\\.(?:${TOKEN}|\\*))*(?:\\.>)?)$`);

/** Whether a text is a topic (PROTOCOL.md section 2). */
export function isTopic(text: string): boolean {
  return withinSize(text) && TOPIC.test(text);
}

/** Whether a text is a pattern (PROTOCOL.md section 2). Every topic is one. */
export function isPattern(text: string): boolean {
  return withinSize(text) && PATTERN.test(text);
}

/** Whether a pattern names exactly one topic. */
export function isLiteral(pattern: string): boolean {
  return !pattern.includes('*') && !pattern.endsWith('>');
}

/**
 * Whether a pattern matches a topic.
 *
 * @example matches('orders.*', 'orders.7') // true
 */
export function matches(pattern: string, topic: string): boolean {
  return covers(pattern, topic);
}

/**
 * Whether `granted` matches every topic that `asked` matches (the subset rule).
 *
 * @example covers('orders.>', 'orders.*') // true
 */
export function covers(granted: string, asked: string): boolean {
  if (granted === asked) return true;
  let grantedAt = 0;
  let askedAt = 0;
  while (grantedAt < granted.length && askedAt < asked.length) {
    const token = granted.charCodeAt(grantedAt);
    if (token === REST) return true;
    const askedToken = asked.charCodeAt(askedAt);
    if (askedToken === REST) return false;
    if (token !== ANY && !sameToken(granted, grantedAt, asked, askedAt)) return false;
    grantedAt = tokenEnd(granted, grantedAt) + 1;
    askedAt = tokenEnd(asked, askedAt) + 1;
  }
  return grantedAt >= granted.length && askedAt >= asked.length;
}

/**
 * Whether some topic matches both patterns.
 *
 * @example overlaps('orders.*', '*.7') // true
 */
export function overlaps(left: string, right: string): boolean {
  let leftAt = 0;
  let rightAt = 0;
  while (leftAt < left.length && rightAt < right.length) {
    const leftToken = left.charCodeAt(leftAt);
    const rightToken = right.charCodeAt(rightAt);
    if (leftToken === REST || rightToken === REST) return true;
    const isWild = leftToken === ANY || rightToken === ANY;
    if (!isWild && !sameToken(left, leftAt, right, rightAt)) return false;
    leftAt = tokenEnd(left, leftAt) + 1;
    rightAt = tokenEnd(right, rightAt) + 1;
  }
  return leftAt >= left.length && rightAt >= right.length;
}

/**
 * Returns the text if it is a topic.
 *
 * @throws TidemarkError `invalid_topic`
 */
export function parseTopic(text: string): string {
  if (isTopic(text)) return text;
  throw new TidemarkError('invalid_topic', `${quote(text)} is not a topic: ${TOPIC_RULE}`);
}

/**
 * Returns the text if it is a pattern.
 *
 * @throws TidemarkError `invalid_pattern`
 */
export function parsePattern(text: string): string {
  if (isPattern(text)) return text;
  throw new TidemarkError('invalid_pattern', `${quote(text)} is not a pattern: ${PATTERN_RULE}`);
}

/**
 * Reads the patterns of one subscription or query: at least one, at most `max`.
 *
 * @returns each of them once
 * @throws TidemarkError `invalid_pattern`
 */
export function parsePatterns(texts: readonly string[], max = PATTERNS_MAX): readonly string[] {
  if (texts.length === 0) throw new TidemarkError('invalid_pattern', 'Name at least one topic.');
  if (texts.length > max) {
    throw new TidemarkError(
      'invalid_pattern',
      `${texts.length} patterns are more than the ${max} allowed.`,
    );
  }
  return [...new Set(texts.map(parsePattern))];
}

/**
 * Reads patterns separated by commas, as in a query string: `orders.*,user.7`.
 *
 * @throws TidemarkError `invalid_pattern`
 */
export function parsePatternList(text: string): readonly string[] {
  return parsePatterns(text.split(',').map((item) => item.trim()));
}

/** The topic grammar in words, for error messages. */
export const TOPIC_RULE = `tokens of A-Z a-z 0-9 _ - joined by dots, at most ${TOPIC_TOKENS_MAX} tokens and ${TOPIC_BYTES_MAX} bytes`;
/** The pattern grammar in words, for error messages. */
export const PATTERN_RULE = `a topic in which * may stand for one token and a last > for one or more (${TOPIC_RULE})`;

const SUBJECT_PREFIX = 'tidemark.events.';

/**
 * The NATS subject of a topic or pattern. Patterns have the wildcards of NATS.
 *
 * @example toSubject('orders.*') // 'tidemark.events.orders.*'
 */
export function toSubject(pattern: string): string {
  return SUBJECT_PREFIX + pattern;
}

/** The topic in a NATS subject; `undefined` where it holds no valid topic. */
export function fromSubject(subject: string): string | undefined {
  if (!subject.startsWith(SUBJECT_PREFIX)) return undefined;
  const topic = subject.slice(SUBJECT_PREFIX.length);
  return isTopic(topic) ? topic : undefined;
}

/** The index after a token: that of the next dot, or of the end. */
function tokenEnd(text: string, at: number): number {
  const dot = text.indexOf('.', at);
  return dot === -1 ? text.length : dot;
}

/** Compares two tokens without a copy of either, because most pairs differ in their first character. */
function sameToken(left: string, leftAt: number, right: string, rightAt: number): boolean {
  const length = tokenEnd(left, leftAt) - leftAt;
  for (let index = 0; index < length; index++) {
    if (left.charCodeAt(leftAt + index) !== right.charCodeAt(rightAt + index)) return false;
  }
  return tokenEnd(right, rightAt) - rightAt === length;
}

function withinSize(text: string): boolean {
  // The alphabet is ASCII, so that characters are bytes once the expression has matched.
  if (text.length > TOPIC_BYTES_MAX) return false;
  let tokens = 1;
  for (let index = text.indexOf('.'); index !== -1; index = text.indexOf('.', index + 1)) tokens++;
  return tokens <= TOPIC_TOKENS_MAX;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
