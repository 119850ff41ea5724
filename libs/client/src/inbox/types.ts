import type { TidemarkClientError } from '../errors.ts';
import type { CloudEvent, EventMap, EventOf } from '../types.ts';

/** What a mark says of an item (section 14.1). `snoozed` is the time until which the item is hidden. */
export interface ItemState {
  readonly seen: boolean;
  readonly read: boolean;
  readonly archived: boolean;
  readonly snoozed?: string;
}

/** One item of an inbox; `cursor` is its name. An item is replaced where its state changes, and never altered. */
export interface InboxItem<Event = CloudEvent> {
  readonly cursor: string;
  readonly event: Event;
  readonly state: ItemState;
}

/** How many items are new. Both counts end at 999; `more` says that there are more (section 14.1). */
export interface InboxCounts {
  readonly unseen: number;
  readonly unread: number;
  readonly more: boolean;
}

/** A pattern that the user follows or has muted; with `types` only events of these types (section 14.3). */
export interface InboxPattern {
  readonly pattern: string;
  readonly types?: readonly string[];
}

/** What `openInbox` may choose. */
export interface InboxOptions {
  /** Which items are listed; what is neither archived nor hidden if absent. */
  readonly state?: 'unseen' | 'unread' | 'read' | 'archived' | 'snoozed' | 'all';
  /** Patterns: only items of these topics are listed. Counts are of the whole inbox. */
  readonly topics?: readonly string[];
  /** Only items of these types are listed. */
  readonly types?: readonly string[];
  /** Items of one page, 1 to 1,000; 20 if absent. */
  readonly limit?: number;
  /** Closes the inbox. */
  readonly signal?: AbortSignal;
}

/** Marks that have a position: all items up to a cursor, or the named ones (section 14.2). */
export type MarkTarget = { readonly upTo: string } | { readonly cursors: readonly string[] };

/**
 * All of an inbox at one moment. It is immutable: each change makes a new one, so that a user interface compares
 * by identity.
 */
export interface InboxView<Event = CloudEvent> {
  /** False until the first page and the counts are there. */
  readonly isReady: boolean;
  /** The newest first: new items come in front while the inbox is open, older ones by `older`. */
  readonly items: readonly InboxItem<Event>[];
  readonly counts: InboxCounts;
  /** There are items older than the last one here. */
  readonly hasOlder: boolean;
  readonly follows: readonly (InboxPattern & { readonly permitted: boolean })[];
  readonly mutes: readonly InboxPattern[];
  /** Why the inbox no longer follows changes; absent while it does. */
  readonly error?: TidemarkClientError;
}

/**
 * The inbox of the token's user, kept up to date: items, counts and rules, whichever device or tab changes them.
 *
 * A mark is shown at once, and taken back where the service refuses it; its promise rejects then. Marks go out one
 * after the other, each under one `id` however often it is tried.
 */
export interface Inbox<Event = CloudEvent> {
  readonly view: InboxView<Event>;
  /** The first page and the counts are there. Rejects where that cannot succeed. */
  readonly ready: Promise<void>;
  /** Called after each change of `view`. @returns a function that ends it */
  on(type: 'change', handle: (view: InboxView<Event>) => void): () => void;
  /** Reads the next page of older items. At the end it does nothing; calls at the same time share one page. */
  older(): Promise<void>;
  /** All items up to the newest one here, or the target. */
  seen(target?: MarkTarget): Promise<void>;
  /** What is read counts as seen. */
  read(target?: MarkTarget): Promise<void>;
  archive(target: MarkTarget): Promise<void>;
  unread(cursors: readonly string[]): Promise<void>;
  unarchive(cursors: readonly string[]): Promise<void>;
  /** Hides the items until a time; a time that has passed ends it. */
  snooze(cursors: readonly string[], until: Date): Promise<void>;
  /** @throws TidemarkClientError `forbidden` where the token may not subscribe to the pattern */
  follow(pattern: string, types?: readonly string[]): Promise<void>;
  unfollow(pattern: string, types?: readonly string[]): Promise<void>;
  mute(pattern: string, types?: readonly string[]): Promise<void>;
  unmute(pattern: string, types?: readonly string[]): Promise<void>;
  close(): void;
}

/** `openInbox<Events>(tidemark, options)`, so that the double of `./testing` can stand in for it. */
export type OpenInbox = <Events extends EventMap = Record<string, unknown>>(
  options?: InboxOptions,
) => Inbox<EventOf<Events>>;
