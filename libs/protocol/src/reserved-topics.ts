import { TidemarkError } from './errors.ts';
import type { CloudEvent } from './events.ts';
import { refuseExpired } from './expiry.ts';

/** The first token of the topics that hold the inboxes of users (PROTOCOL.md section 14). */
export const INBOX_TOKEN = 'inbox';

const INBOX_TOPIC = new RegExp(`^${INBOX_TOKEN}\\.[^.]+$`);

/** How the topics of the servers' own records begin (PROTOCOL.md section 13.3). */
const RECORDS_PREFIX = 'tidemark.';

/** Whether a topic holds the inbox of a user. */
export function isInboxTopic(topic: string): boolean {
  return INBOX_TOPIC.test(topic);
}

/** Whether a topic is one of the servers' own records. */
export function isRecordsTopic(topic: string): boolean {
  return topic.startsWith(RECORDS_PREFIX);
}

/** Whether only replay writes to a topic (PROTOCOL.md section 2). */
export function isReservedTopic(topic: string): boolean {
  return isInboxTopic(topic) || isRecordsTopic(topic);
}

/**
 * Requires of a valid event what a publisher must keep to besides: no reserved topic, and no expiry that is over.
 * Everything that takes events from outside calls it.
 *
 * @param path the event's path in the client's input
 * @throws TidemarkError `forbidden` or `invalid_event`
 */
export function requirePublishable(event: CloudEvent, nowMs: number, path = ''): void {
  if (isReservedTopic(event.topic)) {
    const at = path === '' ? 'topic' : `${path}.topic`;
    const message = `${event.topic} is reserved: only replay writes to it`;
    throw new TidemarkError('forbidden', `${at} ${message}.`, { faults: [{ path: at, message }] });
  }
  refuseExpired(event, nowMs, path);
}
