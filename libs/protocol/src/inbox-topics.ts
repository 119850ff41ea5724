import { INBOX_TOKEN } from './reserved-topics.ts';
import { encodeTopicToken } from './topic-tokens.ts';
import { isTopic } from './topics.ts';

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
