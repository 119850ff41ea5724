import { sequenceOf } from '../cursors.ts';
import type { InboxOptions, ItemState } from './types.ts';
import type { ChangeData, MarkBody } from './wire.ts';

/* What marks make of the state of one item (PROTOCOL 14.1, 14.2). */

export const NEW_ITEM: ItemState = { seen: false, read: false, archived: false };

/** Whether an item counts as unread. */
export function isUnread(state: ItemState): boolean {
  return !state.read && isShown(state);
}

export function isUnseen(state: ItemState): boolean {
  return isUnread(state) && !state.seen;
}

function isShown({ archived, snoozed }: ItemState): boolean {
  return !archived && snoozed === undefined;
}

/** The items that an inbox lists, by the `state` that was asked for. */
export function lists(asked: InboxOptions['state'], state: ItemState): boolean {
  switch (asked) {
    case undefined:
      return isShown(state);
    case 'all':
      return true;
    case 'unseen':
      return isUnseen(state);
    case 'unread':
      return isUnread(state);
    case 'read':
      return state.read && isShown(state);
    case 'archived':
      return state.archived;
    case 'snoozed':
      return state.snoozed !== undefined && !state.archived;
  }
}

/** What a state of marks is to users: what is read counts as seen, and no time is over. */
export function presentState(
  { seen, read, archived, snoozed }: ItemState,
  nowMs: number,
): ItemState {
  const isHidden = snoozed !== undefined && Date.parse(snoozed) > nowMs;
  return { seen: seen || read, read, archived, ...(isHidden && { snoozed }) };
}

export function isSameState(one: ItemState, other: ItemState): boolean {
  return (
    one.seen === other.seen &&
    one.read === other.read &&
    one.archived === other.archived &&
    one.snoozed === other.snoozed
  );
}

/** Reads what an event says of all items. Whether an item is seen does not tell of `read` there. */
export function statesOf({ seen, read, archived, snoozed }: ChangeData) {
  const flags = [seen, read, archived].map(({ upTo, except }) => {
    const end = sequenceOf(upTo);
    const exceptions = new Set(except.map(sequenceOf));
    return (sequence: number) => sequence <= end !== exceptions.has(sequence);
  });
  const untils = new Map(snoozed.map(({ cursor, until }) => [sequenceOf(cursor), until]));
  return (sequence: number): ItemState => {
    const [isSeen, isRead, isArchived] = flags.map((has) => has(sequence));
    const until = untils.get(sequence);
    return {
      seen: isSeen ?? false,
      read: isRead ?? false,
      archived: isArchived ?? false,
      ...(until !== undefined && { snoozed: until }),
    };
  };
}

/** What a mark makes of the state of an item; the same state where it does not concern it. */
export function marker({ mark, upTo, cursors, until }: MarkBody) {
  const end = upTo === undefined ? 0 : sequenceOf(upTo);
  const named = new Set(cursors?.map(sequenceOf));
  return (sequence: number, state: ItemState): ItemState => {
    if (sequence > end && !named.has(sequence)) return state;
    switch (mark) {
      case 'seen':
        return { ...state, seen: true };
      case 'read':
        return { ...state, read: true };
      case 'unread':
        return { ...state, read: false };
      case 'archived':
        return { ...state, archived: true };
      case 'unarchived':
        return { ...state, archived: false };
      case 'snoozed':
        return { ...state, snoozed: until as string };
    }
  };
}
