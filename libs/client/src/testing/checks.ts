import { Refusal } from './answers.ts';

/* What the services refuse, in their words. */

const TOKENS_MAX = 16;
const BYTES_MAX = 200;
const PATTERNS_MAX = 100;
const TYPES_MAX = 100;
const QUOTED_MAX = 80;
const TOKEN = '[A-Za-z0-9_-]+';
const TOPIC = new RegExp(`^${TOKEN}(?:\\.${TOKEN})*$`);
const PATTERN = new RegExp(`^(?:>|(?:${TOKEN}|\\*)(?:\\.(?:${TOKEN}|\\*))*(?:\\.>)?)$`);
const CURSOR = /^[a-z0-9.]{1,40}-(?:0|[1-9][0-9]{0,15})$/;
/** Only replay writes to them (PROTOCOL 2). */
const RESERVED = /^(?:tidemark\..*|inbox\.[^.]+)$/;
const TOPIC_RULE = `tokens of A-Z a-z 0-9 _ - joined by dots, at most ${TOKENS_MAX} tokens and ${BYTES_MAX} bytes`;
const PATTERN_RULE = `a topic in which * may stand for one token and a last > for one or more (${TOPIC_RULE})`;

/** Whether a text is a topic (PROTOCOL 2). */
export function isTopic(text: string): boolean {
  return isSmall(text) && TOPIC.test(text);
}

export function isReserved(topic: string): boolean {
  return RESERVED.test(topic);
}

export function requirePatterns(patterns: readonly string[]): void {
  if (patterns.length === 0) throw new Refusal('invalid_pattern', 'Name at least one topic.');
  if (patterns.length > PATTERNS_MAX) {
    const message = `${patterns.length} patterns are more than the ${PATTERNS_MAX} allowed.`;
    throw new Refusal('invalid_pattern', message);
  }
  for (const pattern of patterns) {
    if (isSmall(pattern) && PATTERN.test(pattern)) continue;
    const quoted = pattern.length > QUOTED_MAX ? `${pattern.slice(0, QUOTED_MAX)}…` : pattern;
    const message = `${JSON.stringify(quoted)} is not a pattern: ${PATTERN_RULE}`;
    throw new Refusal('invalid_pattern', message);
  }
}

export function requireTypes(types: readonly string[] | undefined): void {
  const fault = types && typesFault(types);
  if (!fault) return;
  const faults = [{ path: 'types', message: fault }];
  throw new Refusal('invalid_message', `types: ${fault}`, { faults });
}

export function requireCursor(text: string): void {
  if (CURSOR.test(text) && Number.isSafeInteger(Number(text.slice(text.lastIndexOf('-') + 1))))
    return;
  throw new Refusal(
    'invalid_cursor',
    `${JSON.stringify(text.slice(0, QUOTED_MAX))} is not a cursor.`,
  );
}

/** The parts of an event that a test is likely to get wrong. @returns its topic */
export function requireEvent({
  type,
  topic,
}: {
  readonly type?: unknown;
  readonly topic?: unknown;
}): string {
  if (typeof type !== 'string' || type === '') {
    throw invalid('invalid_event', 'type', type === '' ? 'must not be empty' : 'is missing');
  }
  if (topic === undefined && isTopic(type)) return type;
  if (topic === undefined) {
    const message = 'is missing, and the type is not a topic';
    const faults = [{ path: 'topic', message }];
    throw new Refusal('invalid_topic', `topic ${message} (${TOPIC_RULE}).`, { faults });
  }
  if (typeof topic === 'string' && isTopic(topic)) return topic;
  throw invalid('invalid_event', 'topic', `must be a topic: ${TOPIC_RULE}`);
}

/** @throws Refusal `forbidden` */
export function requireNotReserved(topic: string): void {
  if (!isReserved(topic)) return;
  throw invalid('forbidden', 'topic', `${topic} is reserved: only replay writes to it`);
}

/** The permissions of a scope such as `subscribe:orders.> publish:orders.>` (PROTOCOL 8.1). */
export class Permissions {
  readonly #grants: readonly { readonly action: string; readonly pattern: string }[];

  constructor(scope: string) {
    this.#grants = scope.split(/\s+/).flatMap((word) => {
      const at = word.indexOf(':');
      return at < 0 ? [] : [{ action: word.slice(0, at), pattern: word.slice(at + 1) }];
    });
  }

  permits(action: string, pattern: string): boolean {
    // Who may read a pattern may read the notices of what was erased there.
    const wanted =
      action === 'subscribe' ? pattern.replace(/^tidemark\.erased\.(?=.)/, '') : pattern;
    return this.#grants.some(
      (grant) =>
        grant.action === action &&
        (covers(grant.pattern, pattern) || covers(grant.pattern, wanted)),
    );
  }

  /** @throws Refusal `forbidden` */
  require(action: string, pattern: string): void {
    if (this.permits(action, pattern)) return;
    throw new Refusal('forbidden', `The token does not permit ${action}:${pattern}.`);
  }
}

/** Whether `granted` matches every topic that `asked` matches. */
function covers(granted: string, asked: string): boolean {
  const [left, right] = [granted.split('.'), asked.split('.')];
  for (const [index, token] of left.entries()) {
    const other = right[index];
    if (other === undefined) return false;
    if (token === '>') return true;
    if (other === '>' || (token !== '*' && token !== other)) return false;
  }
  return left.length === right.length;
}

function invalid(code: 'invalid_event' | 'forbidden', path: string, message: string): Refusal {
  return new Refusal(code, `${path} ${message}.`, { faults: [{ path, message }] });
}

function typesFault(types: readonly string[]): string | undefined {
  if (types.length === 0 || types.length > TYPES_MAX) return `must have 1 to ${TYPES_MAX} types`;
  if (types.includes('')) return 'must have no empty type';
  const isWrong = types.some((type) => type.slice(0, -1).includes('*'));
  return isWrong ? 'may have * only at the end of a type' : undefined;
}

function isSmall(text: string): boolean {
  return text.length <= BYTES_MAX && text.split('.').length <= TOKENS_MAX;
}
