import { parseCursor } from './cursors.ts';
import { type ErasureNotice, readErasureNotice } from './erasure-notices.ts';
import type { CloudEvent } from './events.ts';
import { expiryMs, NEVER_MS } from './expiry.ts';
import { INBOX_COUNT_MAX, type InboxCounts } from './inbox-counts.ts';
import type { CountsData, InboxData } from './inbox-data.ts';
import { InboxFilter, type ItemHeader } from './inbox-filter.ts';
import { isInboxTopic } from './reserved-topics.ts';

/** The longest time that a client waits before it asks again for counts that an erasure may have changed, in milliseconds. */
export const RECOUNT_WITHIN_MS = 100_000;

/** Most items behind the last counts that are remembered. */
export const LIVE_ITEMS_MAX = 2 * (INBOX_COUNT_MAX + 1);

/** The part of an inbox that decides which new events are items. `GET /v1/inbox/follows` answers with it too. */
export type LiveRules = Pick<InboxData, 'topics' | 'follows' | 'mutes'>;

/** Counts that follow the log: the last ones that a server gave, and the items behind them. */
export interface LiveInbox {
  readonly rules: LiveRules;
  readonly counts: CountsData;
  /** Events behind the counts that may be items, ascending, each once. */
  readonly newer: readonly ItemHeader[];
  /** Items up to this sequence are not remembered: they were counted by the server, or were too many. */
  readonly forgotten: number;
  /** Changes of the inbox up to this sequence are in the counts. */
  readonly changed: number;
  /** What was erased, as far as is known: nothing outside of this range. */
  readonly erased: ErasedRange;
}

/** Counts that hold at `from` or later, and before `record`, may include what was erased. */
interface ErasedRange {
  /** The sequence of the first erased event. */
  readonly from: number;
  /** The sequence of the last record of an erasure. */
  readonly record: number;
}

const NOTHING_ERASED: ErasedRange = { from: Number.POSITIVE_INFINITY, record: 0 };

/** The present counts of a live inbox. */
export interface LiveCounts extends InboxCounts {
  /** Whether they can no longer be told from the events: ask `GET /v1/inbox/counts` again. */
  readonly stale: boolean;
  /**
   * Where an erasure alone has made them so, which may concern many clients at once: how long this one waits before it
   * asks, at most, in milliseconds. It waits for a random part of that, and shows these counts meanwhile.
   */
  readonly askWithinMs?: number;
}

/** Begins at counts of a server. The subscription must begin at their cursor, or before it. */
export function beginLiveInbox(rules: LiveRules, counts: CountsData): LiveInbox {
  const sequence = sequenceOf(counts);
  const nothing = { newer: [], forgotten: sequence, changed: sequence, erased: NOTHING_ERASED };
  return { rules, counts, ...nothing };
}

/**
 * Goes on at newer counts of a server, which the client has asked for with `atLeast` at the last cursor that it had
 * received. What it has received since then counts too.
 */
export function renewLiveInbox(live: LiveInbox, rules: LiveRules, counts: CountsData): LiveInbox {
  const sequence = sequenceOf(counts);
  // A change that came meanwhile has counts of its own.
  if (live.changed > sequence) return live;
  const newer = live.newer.filter((one) => one.sequence > sequence);
  const forgotten = Math.max(live.forgotten, sequence);
  return { ...beginLiveInbox(rules, counts), newer, forgotten, erased: live.erased };
}

/**
 * Takes an event that the client has received: a change of the inbox, or one that may be an item. An event that comes
 * twice counts once, and events of several subscriptions may come in any order.
 */
export function followInbox(
  live: LiveInbox,
  { cursor, event }: { readonly cursor: string; readonly event: CloudEvent },
): LiveInbox {
  const { sequence } = parseCursor(cursor);
  const { topic, type } = event;
  // Nobody vouches for an event without a publisher.
  if (isInboxTopic(topic)) {
    if (event.publisher === undefined || sequence <= live.changed) return live;
    return takeChange({ ...live, changed: sequence }, event.data as InboxData);
  }
  const notice = readErasureNotice(event);
  if (notice) return takeNotice(live, notice);
  if (sequence <= sequenceOf(live.counts)) return live;
  if (live.newer.some((one) => one.sequence === sequence)) return live;
  // It comes behind the notice of an erasure, and may be what that erased.
  if (sequence >= live.erased.from && sequence < live.erased.record) {
    return { ...live, forgotten: Math.max(live.forgotten, sequence) };
  }
  const item = { sequence, topic, type, expiresMs: expiryMs(event.expires) };
  const newer = [...live.newer, item].sort(bySequence);
  const [oldest] = newer;
  if (newer.length <= LIVE_ITEMS_MAX || !oldest) return { ...live, newer };
  return { ...live, newer: newer.slice(1), forgotten: Math.max(live.forgotten, oldest.sequence) };
}

/**
 * The counts now. They equal those of `GET /v1/inbox/counts` at the last cursor that the client has received, for
 * tokens that permit the same follows.
 *
 * @param nowMs milliseconds since 1970
 */
export function liveCounts(live: LiveInbox, nowMs: number): LiveCounts {
  const { counts, newer, forgotten, erased, rules } = live;
  const { unseen, unread, more, until } = counts;
  const follows = rules.follows.map(({ since, ...rest }) => ({
    ...rest,
    since: parseCursor(since).sequence,
  }));
  const filter = new InboxFilter({ ...rules, follows });
  // What is behind the counts is beyond every mark, so that it is neither seen nor read.
  const added = newer.filter((item) => {
    return (item.expiresMs ?? NEVER_MS) > nowMs && filter.accepts(item);
  }).length;
  const isOver = until !== undefined && Date.parse(until) <= nowMs;
  const total = unread + added;
  const sequence = sequenceOf(counts);
  const mustAsk = isOver || forgotten > sequence;
  const mayBeLess = erased.from <= sequence && sequence < erased.record;
  return {
    unseen: Math.min(unseen + added, INBOX_COUNT_MAX),
    unread: Math.min(total, INBOX_COUNT_MAX),
    more: more || total > INBOX_COUNT_MAX,
    stale: mustAsk || mayBeLess,
    ...(mayBeLess && !mustAsk && { askWithinMs: RECOUNT_WITHIN_MS }),
  };
}

function takeChange(live: LiveInbox, data: InboxData): LiveInbox {
  const { counts, topics, follows, mutes } = data;
  // An event without counts repeats what is known.
  if (!counts) return live;
  const newer = live.newer.filter(({ sequence }) => sequence > sequenceOf(counts));
  return { ...live, rules: { topics, follows, mutes }, counts, newer };
}

/** What came behind the counts is taken out; whether the counts have anything of it, only a server knows. */
function takeNotice(live: LiveInbox, { topic, record: cursor, cursors }: ErasureNotice): LiveInbox {
  const record = parseCursor(cursor).sequence;
  const sequences = cursors?.map((one) => parseCursor(one).sequence);
  const isErased = (item: ItemHeader) =>
    sequences?.includes(item.sequence) ?? (item.topic === topic && item.sequence < record);
  // Present counts have nothing more of what they came after.
  const erased = sequenceOf(live.counts) >= live.erased.record ? NOTHING_ERASED : live.erased;
  const from = Math.min(erased.from, ...(sequences ?? [1]));
  return {
    ...live,
    newer: live.newer.filter((item) => !isErased(item)),
    erased: { from, record: Math.max(erased.record, record) },
  };
}

function sequenceOf({ cursor }: CountsData): number {
  return parseCursor(cursor).sequence;
}

function bySequence(one: ItemHeader, other: ItemHeader): number {
  return one.sequence - other.sequence;
}
