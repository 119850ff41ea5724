import {
  type ArchivedEvent,
  type CountsData,
  eventType,
  type ItemState,
  isUnread,
  itemState,
  PatternMatcher,
} from '@tidemark/protocol';
import { narrowed } from '../selection/topic-ranges.ts';
import { cursorOf, type Inbox } from './inboxes.ts';
import { type ItemsOptions, LookLimits, walkInbox } from './items.ts';

/** Bytes of JSON after which a page ends; the item that passes the limit is its last. */
const PAGE_BYTES_MAX = 2 * 1024 * 1024;

/** Which items a page shows, by their state. */
export const STATES = {
  unseen: (item: ItemState) => isUnread(item) && !item.seen,
  unread: isUnread,
  read: (item: ItemState) => item.read && isShown(item),
  archived: ({ archived }: ItemState) => archived,
  snoozed: ({ archived, snoozedUntilMs }: ItemState) => snoozedUntilMs !== undefined && !archived,
  all: () => true,
} as const;

/** What is asked for by `GET /v1/inbox`. */
export interface ItemsQuery {
  /** Absent: what is neither archived nor hidden. */
  readonly state?: keyof typeof STATES | undefined;
  readonly patterns?: readonly string[] | undefined;
  readonly types?: readonly string[] | undefined;
  readonly group?: 'topic' | 'subject' | undefined;
  readonly limit: number;
  /** Items below this sequence. */
  readonly before: number;
}

export interface PageRequest extends ItemsOptions {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** Takes memory for what a page may hold. @throws TidemarkError `limit_exceeded` */
  readonly takeBytes: (bytes: number) => void;
}

/** Reads a page of items, the newest first. @returns the answer as JSON */
export async function readItems(
  inbox: Inbox,
  query: ItemsQuery,
  { counts, ...request }: PageRequest & { readonly counts: CountsData },
): Promise<Buffer> {
  const { filter, bounds } = inbox;
  request.takeBytes(PAGE_BYTES_MAX);
  const { patterns, types, group, before } = query;
  const last = Math.min(before - 1, bounds.lastSequence);
  const page = new ItemsPage(inbox, query, request.nowMs);
  const limits = new LookLimits();
  const walked = walkInbox(
    inbox,
    {
      patterns: patterns ? narrowed(patterns, filter.patterns) : filter.patterns,
      types,
      after: 0,
      // Groups on the pages before must be known, so that none comes twice.
      through: group ? bounds.lastSequence : last,
      order: 'desc',
      read: 'events',
      limits: () => (page.full ? undefined : limits.next()),
    },
    request,
  );
  let left = 0;
  for await (const { events, remaining } of walked) {
    limits.note(events.length);
    for (const event of events) if (!page.add(event)) break;
    left = page.full ? page.lowest - 1 : remaining.through;
  }
  const next = left > 0 && !(group && limits.ended) ? cursorOf(inbox, left + 1) : null;
  const rest = JSON.stringify({ ...counts, next }).slice(1);
  return Buffer.from(`{"items":[${page.items.join(',')}],${rest}`);
}

/** Collects the items of one page. */
class ItemsPage {
  readonly items: string[] = [];
  lowest = Number.POSITIVE_INFINITY;
  readonly #inbox: Inbox;
  readonly #query: ItemsQuery;
  readonly #nowMs: number;
  readonly #matcher: PatternMatcher | undefined;
  readonly #groups = new Set<string>();
  #bytes = 0;

  constructor(inbox: Inbox, query: ItemsQuery, nowMs: number) {
    this.#inbox = inbox;
    this.#query = query;
    this.#nowMs = nowMs;
    this.#matcher = query.patterns && new PatternMatcher(query.patterns);
  }

  get full(): boolean {
    return this.items.length >= this.#query.limit || this.#bytes >= PAGE_BYTES_MAX;
  }

  /** @returns whether there is room for more */
  add(event: ArchivedEvent): boolean {
    const { sequence, topic, json } = event;
    const { state, filter } = this.#inbox;
    const { before, state: wanted } = this.#query;
    const isAsked = this.#matcher?.matches(topic) ?? true;
    if (!isAsked || !filter.accepts({ sequence, topic, type: eventType(Buffer.from(json)) }))
      return true;
    const item = itemState(state, sequence, this.#nowMs);
    if (!(wanted ? STATES[wanted](item) : isShown(item)) || !this.#begins(event)) return true;
    if (sequence >= before) return true;
    this.items.push(itemText(this.#inbox, event, item));
    this.#bytes += Buffer.byteLength(json);
    this.lowest = sequence;
    return !this.full;
  }

  /** Whether it is the newest of its group, or there are no groups. */
  #begins({ topic, json }: ArchivedEvent): boolean {
    const { group } = this.#query;
    if (!group) return true;
    const key = group === 'topic' ? topic : subjectOf(json);
    // Events without a subject are not alike.
    if (key === undefined) return true;
    if (this.#groups.has(key)) return false;
    this.#groups.add(key);
    return true;
  }
}

function isShown({ archived, snoozedUntilMs }: ItemState): boolean {
  return !archived && snoozedUntilMs === undefined;
}

function subjectOf(json: string): string | undefined {
  return (JSON.parse(json) as { readonly subject?: string }).subject;
}

function itemText(inbox: Inbox, { sequence, json }: ArchivedEvent, item: ItemState): string {
  const { snoozedUntilMs, ...flags } = item;
  const state = {
    ...flags,
    ...(snoozedUntilMs !== undefined && { snoozed: new Date(snoozedUntilMs).toISOString() }),
  };
  const cursor = cursorOf(inbox, sequence);
  return `{"cursor":"${cursor}","event":${json},"state":${JSON.stringify(state)}}`;
}
