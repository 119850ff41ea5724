import { TidemarkError } from './errors.ts';
import { encodeTopicToken } from './topic-tokens.ts';
import { isTopic } from './topics.ts';

/** The first token of the topics that hold the inboxes of users (PROTOCOL.md section 14). */
const INBOX_TOKEN = 'inbox';

const RESERVED = new RegExp(`^${INBOX_TOKEN}\\.[^.]+$`);

/** The pattern of all topics that only replay writes to. */
export const RESERVED_PATTERN = `${INBOX_TOKEN}.*`;

/**
 * The topic of a user's inbox.
 *
 * @returns `undefined` where the `sub` is too long for a topic, or is no text that a topic can hold
 * @example inboxTopic('auth0|x') // 'inbox.auth0_-7c-_x'
 */
export function inboxTopic(subject: string): string | undefined {
  const token = encodeTopicToken(subject);
  const topic = `${INBOX_TOKEN}.${token}`;
  return token !== undefined && isTopic(topic) ? topic : undefined;
}

/** Whether only replay writes to a topic. */
export function isReserved(topic: string): boolean {
  return RESERVED.test(topic);
}

/**
 * Refuses topics that only replay writes to. Everything that takes events from outside calls it.
 *
 * @throws TidemarkError `forbidden`
 */
export function refuseReserved(topic: string): void {
  if (!isReserved(topic)) return;
  throw new TidemarkError(
    'forbidden',
    `The topic ${topic} is reserved: it holds the inbox of a user, which changes through /v1/inbox only.`,
  );
}
