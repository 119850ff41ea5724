import { NEVER_MS } from './expiry.ts';
import { type InboxMark, isMarked, markOne, markUpTo, NO_MARK } from './inbox-marks.ts';
import { TypeFilter } from './type-filter.ts';

/** What a user follows or has muted: events of these topics and, if given, of these types. */
export interface InboxPattern {
  readonly pattern: string;
  /** Each exact or with `*` at its end; all if absent. */
  readonly types?: readonly string[];
}

/** A pattern that a user follows. */
export interface Follow extends InboxPattern {
  /** Events after this sequence are items, so that a new follower has no old ones. */
  readonly since: number;
}

/** An item that is hidden for a time. */
export interface Snooze {
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly untilMs: number;
}

/**
 * All that is kept of a user's inbox: what the user follows and has muted, and which items have been seen, read,
 * archived or snoozed. The items are not in it. The newest event of the inbox's topic holds it whole, with cursors in
 * the place of sequences (`encodeInbox`).
 */
export interface InboxState {
  readonly follows: readonly Follow[];
  readonly mutes: readonly InboxPattern[];
  readonly seen: InboxMark;
  readonly read: InboxMark;
  readonly archived: InboxMark;
  /** Ascending by sequence. */
  readonly snoozed: readonly Snooze[];
  /** The ids of the last changes, so that a repeat is known. */
  readonly recent: readonly string[];
}

/** The inbox of a user who has never changed anything. */
export const EMPTY_INBOX: InboxState = {
  follows: [],
  mutes: [],
  seen: NO_MARK,
  read: NO_MARK,
  archived: NO_MARK,
  snoozed: [],
  recent: [],
};

/** Most ids of changes that an inbox remembers. */
export const INBOX_IDS_MAX = 20;

/** Marks that may name a position. */
export const POSITION_MARKS = ['seen', 'read', 'archived'] as const;

/** All marks of items. */
export const ITEM_MARKS = [...POSITION_MARKS, 'unread', 'unarchived', 'snoozed'] as const;

/** The changes of what a user follows. */
export const FOLLOW_CHANGES = ['follow', 'unfollow', 'mute', 'unmute'] as const;

/** One change of an inbox. */
export type InboxChange =
  | ({ readonly kind: (typeof FOLLOW_CHANGES)[number] } & InboxPattern)
  | { readonly kind: (typeof POSITION_MARKS)[number]; readonly upTo: number }
  | {
      readonly kind: Exclude<(typeof ITEM_MARKS)[number], 'snoozed'>;
      readonly sequences: readonly number[];
    }
  | {
      readonly kind: 'snoozed';
      readonly sequences: readonly number[];
      /** Milliseconds since 1970. A time that has passed ends the snooze. */
      readonly untilMs: number;
    };

/** When a change is made. */
export interface ChangeMoment {
  /** The last sequence of the log: a follow begins after it. */
  readonly end: number;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/**
 * Makes a change.
 *
 * @returns the state after it; the same object where the change makes no difference
 */
export function changeInbox(
  state: InboxState,
  change: InboxChange,
  moment: ChangeMoment,
): InboxState {
  const present = withoutEnded(state, moment.nowMs);
  const next = changed(present, change, moment);
  return JSON.stringify(next) === JSON.stringify(present) ? state : next;
}

function changed(state: InboxState, change: InboxChange, { end, nowMs }: ChangeMoment): InboxState {
  switch (change.kind) {
    case 'follow': {
      if (state.follows.some((one) => isSamePattern(one, change))) return state;
      return { ...state, follows: [...state.follows, { ...toPattern(change), since: end }] };
    }
    case 'mute': {
      if (state.mutes.some((one) => isSamePattern(one, change))) return state;
      return { ...state, mutes: [...state.mutes, toPattern(change)] };
    }
    case 'unfollow':
      return { ...state, follows: state.follows.filter((one) => !isNamedBy(one, change)) };
    case 'unmute':
      return { ...state, mutes: state.mutes.filter((one) => !isNamedBy(one, change)) };
    case 'snoozed':
      return { ...state, snoozed: snooze(state.snoozed, change, nowMs) };
    case 'unread':
      return { ...state, read: markEach(state.read, change.sequences, false) };
    case 'unarchived':
      return { ...state, archived: markEach(state.archived, change.sequences, false) };
    default: {
      const mark = state[change.kind];
      const next =
        'upTo' in change ? markUpTo(mark, change.upTo) : markEach(mark, change.sequences, true);
      return { ...state, [change.kind]: next };
    }
  }
}

function markEach(mark: InboxMark, sequences: readonly number[], flag: boolean): InboxMark {
  return sequences.reduce((next, sequence) => markOne(next, sequence, flag), mark);
}

function snooze(
  snoozed: readonly Snooze[],
  { sequences, untilMs }: Extract<InboxChange, { kind: 'snoozed' }>,
  nowMs: number,
): Snooze[] {
  const named = new Set(sequences);
  const others = snoozed.filter(({ sequence }) => !named.has(sequence));
  if (untilMs <= nowMs) return others;
  const added = [...named].map((sequence) => ({ sequence, untilMs }));
  return [...others, ...added].sort((left, right) => left.sequence - right.sequence);
}

function withoutEnded(state: InboxState, nowMs: number): InboxState {
  const snoozed = state.snoozed.filter(({ untilMs }) => untilMs > nowMs);
  return snoozed.length === state.snoozed.length ? state : { ...state, snoozed };
}

function toPattern({ pattern, types }: InboxPattern): InboxPattern {
  return { pattern, ...(types && { types: new TypeFilter(types).list }) };
}

/** Types in another order, or twice, are the same. */
function isSamePattern(one: InboxPattern, other: InboxPattern): boolean {
  return one.pattern === other.pattern && keyOf(one) === keyOf(other);
}

/** A pattern without types names all that has the pattern. */
function isNamedBy(one: InboxPattern, { pattern, types }: InboxPattern): boolean {
  return types ? isSamePattern(one, { pattern, types }) : one.pattern === pattern;
}

function keyOf({ types }: InboxPattern): string {
  return types ? new TypeFilter(types).key : '';
}

/** What is known of one item. */
export interface ItemState {
  /** Whether it has been seen; what is read counts as seen. */
  readonly seen: boolean;
  readonly read: boolean;
  readonly archived: boolean;
  /** Hidden until that time, in milliseconds since 1970; absent where it is not hidden now. */
  readonly snoozedUntilMs?: number;
}

/** The state of an item at a time (ms since 1970). */
export function itemState(state: InboxState, sequence: number, nowMs: number): ItemState {
  const read = isMarked(state.read, sequence);
  const snoozed = state.snoozed.find((one) => one.sequence === sequence && one.untilMs > nowMs);
  return {
    seen: read || isMarked(state.seen, sequence),
    read,
    archived: isMarked(state.archived, sequence),
    ...(snoozed && { snoozedUntilMs: snoozed.untilMs }),
  };
}

/** Whether an item counts as unread: it is neither read, nor archived, nor hidden. */
export function isUnread({ read, archived, snoozedUntilMs }: ItemState): boolean {
  return !read && !archived && snoozedUntilMs === undefined;
}

/** The first time after now (ms since 1970) at which an item comes back by itself; `NEVER_MS` where none does. */
export function nextReturnMs({ snoozed }: InboxState, nowMs: number): number {
  const times = snoozed.map(({ untilMs }) => untilMs).filter((untilMs) => untilMs > nowMs);
  return Math.min(...times, NEVER_MS);
}
