import { sequenceOf } from '../cursors.ts';
import { topicMatcher, typeMatcher } from '../patterns.ts';
import type { InboxPattern } from './types.ts';
import { noticesOf, type Rules } from './wire.ts';

/** What an item is judged by. */
export interface ItemHeader {
  readonly sequence: number;
  readonly topic: string;
  readonly type: string;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
}

/** Only replay writes to them, and nothing there is an item (PROTOCOL 2). */
const RESERVED = /^(tidemark\..*|inbox\.[^.]+)$/;

/** Tells the items of an inbox from other events (PROTOCOL 14.3). */
export function itemFilter({ topics, follows, mutes }: Rules): (item: ItemHeader) => boolean {
  const isOwn = topicMatcher(topics);
  const muted = mutes.map(matcher);
  const followed = follows
    .filter(({ permitted }) => permitted !== false)
    .map((follow) => ({ matches: matcher(follow), since: sequenceOf(follow.since) }));
  return (item) =>
    !RESERVED.test(item.topic) &&
    !muted.some((matches) => matches(item)) &&
    (isOwn(item.topic) ||
      followed.some(({ matches, since }) => item.sequence > since && matches(item)));
}

/** All that a client subscribes to for an inbox (PROTOCOL 14.6). */
export function topicsOf(inbox: string, { topics, follows }: Rules): string[] {
  const permitted = follows.filter((one) => one.permitted !== false);
  const all = new Set([inbox, ...topics, ...permitted.map(({ pattern }) => pattern)]);
  return [...all, ...[...all].flatMap(noticesOf)];
}

function matcher({ pattern, types }: InboxPattern) {
  const matchesTopic = topicMatcher([pattern]);
  const matchesType = typeMatcher(types);
  return ({ topic, type }: ItemHeader) => matchesTopic(topic) && matchesType(type);
}
