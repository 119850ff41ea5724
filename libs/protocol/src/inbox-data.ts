import type { InboxCounts } from './inbox-counts.ts';
import type { InboxMark } from './inbox-marks.ts';
import type { Follow, InboxPattern, InboxState } from './inbox-state.ts';

/** The type of the events on the topic of an inbox. */
export const INBOX_EVENT_TYPE = 'tidemark.inbox.changed';

/** A mark as an event holds it (PROTOCOL.md section 14.5). */
export interface MarkData {
  /** A cursor. */
  readonly upTo: string;
  /** Cursors. */
  readonly except: readonly string[];
}

/** Counts as clients get them. */
export interface CountsData extends InboxCounts {
  /** Where in the log they hold. */
  readonly cursor: string;
  /** The RFC 3339 time from which on they may change without an event; absent where nothing is hidden for a time or expires. */
  readonly until?: string;
}

/** What a user follows, with the cursor after which events are items. */
export interface FollowData extends InboxPattern {
  readonly since: string;
}

/** The `data` of an event on the topic of an inbox: the whole inbox after a change (PROTOCOL.md section 14.5). */
export interface InboxData {
  /** The patterns of the topics that are the user's own. */
  readonly topics: readonly string[];
  readonly follows: readonly FollowData[];
  readonly mutes: readonly InboxPattern[];
  readonly seen: MarkData;
  readonly read: MarkData;
  readonly archived: MarkData;
  readonly snoozed: readonly { readonly cursor: string; readonly until: string }[];
  readonly recent: readonly string[];
  /** Absent where the event only repeats an old state. */
  readonly counts?: CountsData;
  /** What the change was, as the request said it; absent where the event only repeats an old state. */
  readonly change?: Readonly<Record<string, unknown>>;
}

/** Writes a state with cursors, for an event. `counts`, `change` and `topics` are added to it. */
export function encodeInbox(
  state: InboxState,
  toCursor: (sequence: number) => string,
): Omit<InboxData, 'topics' | 'counts' | 'change'> {
  const toMark = ({ upTo, except }: InboxMark): MarkData => ({
    upTo: toCursor(upTo),
    except: except.map(toCursor),
  });
  return {
    follows: state.follows.map(({ since, ...rest }) => ({ ...rest, since: toCursor(since) })),
    mutes: state.mutes,
    seen: toMark(state.seen),
    read: toMark(state.read),
    archived: toMark(state.archived),
    snoozed: state.snoozed.map(({ sequence, untilMs }) => ({
      cursor: toCursor(sequence),
      until: new Date(untilMs).toISOString(),
    })),
    recent: state.recent,
  };
}

/** Where a cursor of a state is in the present log. */
export interface FoundCursor {
  readonly sequence: number;
  /** Whether the log has lost what it names; `sequence` is then the last one before the loss. */
  readonly lost: boolean;
}

/**
 * Reads the state of an event that a service has written. Positions that the log has lost become the last one before
 * the loss, and exceptions that it has lost are dropped.
 *
 * @param find where a cursor is; `undefined` where it is of another log
 */
export function decodeInbox(
  data: InboxData,
  find: (cursor: string) => FoundCursor | undefined,
): InboxState {
  const position = (cursor: string) => find(cursor)?.sequence ?? 0;
  const kept = (cursor: string): number[] => {
    const found = find(cursor);
    return found && !found.lost ? [found.sequence] : [];
  };
  const toMark = ({ upTo, except }: MarkData): InboxMark => ({
    upTo: position(upTo),
    except: except.flatMap(kept),
  });
  return {
    follows: data.follows.map(
      ({ since, ...rest }): Follow => ({
        ...rest,
        since: position(since),
      }),
    ),
    mutes: data.mutes,
    seen: toMark(data.seen),
    read: toMark(data.read),
    archived: toMark(data.archived),
    snoozed: data.snoozed.flatMap(({ cursor, until }) =>
      kept(cursor).map((sequence) => ({ sequence, untilMs: Date.parse(until) })),
    ),
    recent: data.recent,
  };
}
