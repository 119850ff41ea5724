import type { CloudEvent } from '../types.ts';
import type { InboxCounts, InboxItem, InboxPattern } from './types.ts';

/* What the service says of an inbox (PROTOCOL 14). */

/** Counts, where in the log they hold, and from when on they may be others without an event. */
export interface CountsAnswer extends InboxCounts {
  readonly cursor: string;
  readonly until?: string;
}

export interface PageAnswer extends CountsAnswer {
  readonly items: readonly InboxItem<CloudEvent>[];
  readonly next: string | null;
}

export interface Follow extends InboxPattern {
  readonly since: string;
  /** Absent in events: these are the same for all tokens of the user. */
  readonly permitted?: boolean;
}

/** What decides which events are items. */
export interface Rules {
  readonly topics: readonly string[];
  readonly follows: readonly Follow[];
  readonly mutes: readonly InboxPattern[];
}

export interface FollowsAnswer extends Rules {
  /** The topic of the inbox. */
  readonly inbox: string;
  readonly cursor: string;
}

export interface ChangeAnswer extends CountsAnswer {
  readonly changed: string | null;
}

interface Mark {
  readonly upTo: string;
  readonly except: readonly string[];
}

/** The `data` of an event on the topic of the inbox (14.5). */
export interface ChangeData extends Rules {
  readonly seen: Mark;
  readonly read: Mark;
  readonly archived: Mark;
  readonly snoozed: readonly { readonly cursor: string; readonly until: string }[];
  /** Both are absent where the event only repeats what the inbox holds. */
  readonly counts?: CountsAnswer;
  readonly change?: Partial<MarkBody> & { readonly change?: string };
}

/** The body of a mark (14.2). */
export interface MarkBody {
  readonly mark: 'seen' | 'read' | 'archived' | 'unread' | 'unarchived' | 'snoozed';
  readonly upTo?: string;
  readonly cursors?: readonly string[];
  readonly until?: string;
}

/** What was erased (13.3): these cursors, or all of the topic before the record. */
export interface Notice {
  readonly topic: string;
  readonly record: string;
  readonly cursors?: readonly string[];
}

const NOTICES = 'tidemark.erased.';
/** What a topic may have, in bytes, which are all of ASCII, and in tokens (PROTOCOL 2). */
const TOPIC_MAX = { bytes: 200, tokens: 16 };

/** The pattern of the notices for what a pattern matches; none where it is too long for one. */
export function noticesOf(pattern: string): string[] {
  const notices = NOTICES + pattern;
  const { length } = notices.split('.');
  return notices.length <= TOPIC_MAX.bytes && length <= TOPIC_MAX.tokens ? [notices] : [];
}

/** @returns `undefined` for an event that is no notice */
export function readNotice({ type, topic, data }: CloudEvent): Notice | undefined {
  if (type !== 'tidemark.erased' || !topic.startsWith(NOTICES)) return undefined;
  return { ...(data as Omit<Notice, 'topic'>), topic: topic.slice(NOTICES.length) };
}

/** When an event expires (3.1), in milliseconds since 1970; infinite where it never does. */
export function expiryMs({ expires }: CloudEvent): number {
  if (typeof expires !== 'string') return Number.POSITIVE_INFINITY;
  // RFC 3339 allows small letters and leap seconds, and `Date.parse` does not.
  const ms = Date.parse(expires.toUpperCase().replace(/:60(?=[.Z+-])/, ':59'));
  return Number.isNaN(ms) ? Number.POSITIVE_INFINITY : ms;
}
