import { NEVER_MS } from './expiry.ts';
import type { ItemHeader } from './inbox-filter.ts';
import { type InboxState, isUnread, itemState } from './inbox-state.ts';

/** Most items that are counted; beyond them the counts say that there are more. */
export const INBOX_COUNT_MAX = 999;

/** How many items of an inbox are new. */
export interface InboxCounts {
  /** Items that are unread and have not been seen either. */
  readonly unseen: number;
  /** Items that are neither read, nor archived, nor hidden. */
  readonly unread: number;
  /** Whether there are more unread items than `INBOX_COUNT_MAX`, or too many to be looked at. */
  readonly more: boolean;
}

/** Counts the items of an inbox, the newest first. */
export class InboxCounter {
  readonly #state: InboxState;
  readonly #nowMs: number;
  #unseen = 0;
  #unread = 0;
  #more = false;
  #nextExpiryMs = NEVER_MS;

  /** @param nowMs milliseconds since 1970 */
  constructor(state: InboxState, nowMs: number) {
    this.#state = state;
    this.#nowMs = nowMs;
  }

  get counts(): InboxCounts {
    return { unseen: this.#unseen, unread: this.#unread, more: this.#more };
  }

  /** When the first of the counted items expires, in milliseconds since 1970; `NEVER_MS` where none does. */
  get nextExpiryMs(): number {
    return this.#nextExpiryMs;
  }

  /** @returns whether older items can change the counts */
  add({ sequence, expiresMs = NEVER_MS }: Pick<ItemHeader, 'sequence' | 'expiresMs'>): boolean {
    const item = itemState(this.#state, sequence, this.#nowMs);
    if (!isUnread(item)) return true;
    this.#nextExpiryMs = Math.min(this.#nextExpiryMs, expiresMs);
    if (this.#unread < INBOX_COUNT_MAX) this.#unread++;
    else this.#more = true;
    if (!item.seen && this.#unseen < INBOX_COUNT_MAX) this.#unseen++;
    // No item up to there is unseen.
    const isSeenBelow = this.#unseen === INBOX_COUNT_MAX || sequence <= this.#state.seen.upTo;
    return !(this.#more && isSeenBelow);
  }

  /** Notes that some items were not looked at. */
  noteMore(): void {
    this.#more = true;
  }
}

/** The items that may be unread besides all that lie behind a sequence. */
export interface Candidates {
  /** Every unread item lies after it, or is one of `others`. */
  readonly after: number;
  /** Sequences up to `after`, descending. They need not be items. */
  readonly others: readonly number[];
}

/** Where the unread items of an inbox are, so that what is read need not be looked at. */
export function unreadCandidates({ read, archived }: InboxState): Candidates {
  const after = Math.max(read.upTo, archived.upTo);
  const below = [...read.except, ...archived.except].filter((sequence) => sequence <= after);
  return { after, others: [...new Set(below)].sort((left, right) => right - left) };
}
