import type { ItemList } from './item-list.ts';
import { COUNT_MAX } from './live-counts.ts';
import type { PendingMarks } from './pending-marks.ts';
import type { ItemHeader } from './rules.ts';
import { isUnread, isUnseen, lists, presentState } from './states.ts';
import type { InboxCounts, InboxItem, InboxOptions, InboxView, ItemState } from './types.ts';
import type { Rules } from './wire.ts';

/** What a view is made of. */
export interface ViewParts {
  readonly list: ItemList;
  readonly marks: PendingMarks;
  readonly counts: InboxCounts;
  readonly accepts: (item: ItemHeader) => boolean;
  readonly options: Pick<InboxOptions, 'state' | 'topics' | 'types'>;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** What is shown at a moment. */
export interface Shown {
  readonly items: readonly InboxItem[];
  readonly counts: InboxCounts;
  /** When an item leaves or comes back, in milliseconds since 1970. */
  readonly nextMs: number;
}

/** Items and counts with the marks that are on their way. */
export function show({ list, marks, counts, accepts, options, nowMs }: ViewParts): Shown {
  const items: InboxItem[] = [];
  const sum = new Counted();
  let nextMs = Number.POSITIVE_INFINITY;
  for (const entry of list.entries) {
    if (entry.expiresMs <= nowMs || !accepts(entry)) continue;
    const stored = list.stateOf(entry);
    const state = presentState(marks.on(entry.sequence, stored), nowMs);
    sum.add(presentState(stored, nowMs), state);
    const returnsMs = state.snoozed === undefined ? nextMs : Date.parse(state.snoozed);
    nextMs = Math.min(nextMs, entry.expiresMs, returnsMs);
    if (lists(options.state, state)) items.push(list.show(entry, state));
  }
  const known = listsAllUnread(options) ? marks.known(list.low) : { unseen: false, unread: false };
  return { items, counts: sum.change(counts, known), nextMs };
}

/** Whether every item that counts is in the list, as far as that reaches. */
function listsAllUnread({ state, topics, types }: ViewParts['options']): boolean {
  return !topics && !types && (state === undefined || state === 'all' || state === 'unread');
}

/** How marks on their way change the counts. */
class Counted {
  readonly #before = { unseen: 0, unread: 0 };
  readonly #after = { unseen: 0, unread: 0 };

  add(stored: ItemState, state: ItemState): void {
    for (const [counts, one] of [
      [this.#before, stored],
      [this.#after, state],
    ] as const) {
      if (isUnread(one)) counts.unread++;
      if (isUnseen(one)) counts.unseen++;
    }
  }

  /** @param known of which count the known items are all that there are */
  change(counts: InboxCounts, known: { unseen: boolean; unread: boolean }): InboxCounts {
    const of = (name: 'unseen' | 'unread') => {
      const [before, after, count] = [this.#before[name], this.#after[name], counts[name]];
      if (known[name]) return Math.min(after, COUNT_MAX);
      // Of 999 and more nobody knows how many remain.
      if (counts.more && count === COUNT_MAX) return count;
      return Math.min(COUNT_MAX, Math.max(0, count + after - before));
    };
    const [unseen, unread] = [of('unseen'), of('unread')];
    return { unseen, unread, more: known.unread ? this.#after.unread > COUNT_MAX : counts.more };
  }
}

/** Of an inbox that has not been read yet. */
export const NO_VIEW: InboxView = {
  isReady: false,
  items: [],
  counts: { unseen: 0, unread: 0, more: false },
  hasOlder: false,
  follows: [],
  mutes: [],
};

/** The next view. What is the same in it is the same object, also all of it. */
export function nextView(
  former: InboxView,
  { items, counts }: Shown,
  { follows, mutes }: Rules,
  hasOlder: boolean,
): InboxView {
  const shownFollows = follows.map(({ since: _, permitted = true, ...rest }) => ({
    ...rest,
    permitted,
  }));
  const next: InboxView = {
    isReady: true,
    items: isSameList(former.items, items) ? former.items : items,
    counts: isSameJson(former.counts, counts) ? former.counts : counts,
    hasOlder,
    follows: isSameJson(former.follows, shownFollows) ? former.follows : shownFollows,
    mutes: isSameJson(former.mutes, mutes) ? former.mutes : mutes,
  };
  return isSameList(Object.values(former), Object.values(next)) ? former : next;
}

function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}

/** For small values, of which each is made in one way. */
function isSameJson(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
