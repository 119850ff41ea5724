import type { InboxCounts } from '../inbox/types.ts';

/** The texts of a bell. */
export interface BellLabels {
  /** The name of the button; it says how many items are unread. */
  readonly button: (counts: InboxCounts) => string;
  /** The number on the button, where there are unread items. */
  readonly count: (counts: InboxCounts) => string;
  /** The name of the dialog, and of the list in it. */
  readonly title: string;
  readonly readAll: string;
  readonly close: string;
  readonly older: string;
  readonly loading: string;
  readonly empty: string;
  /** The list no longer follows changes. */
  readonly stale: string;
  /** An action was refused or could not be sent. */
  readonly failed: string;
  /** Before an unread item, for who cannot see that it is. */
  readonly unread: string;
  /** What screen readers say when new items come. */
  readonly arrived: (count: number) => string;
  readonly time: (time: Date) => string;
}

/** The texts of a bell in English. */
export const ENGLISH: BellLabels = {
  button: (counts) =>
    counts.unread > 0 ? `Notifications, ${countOf(counts)} unread` : 'Notifications',
  count: countOf,
  title: 'Notifications',
  readAll: 'Mark all as read',
  close: 'Close',
  older: 'Load older',
  loading: 'Loading …',
  empty: 'No notifications.',
  stale: 'Notifications cannot be updated at present.',
  failed: 'That did not succeed. Please try again.',
  unread: 'Unread:',
  arrived: (count) => (count === 1 ? '1 new notification' : `${count} new notifications`),
  time: (time) => time.toLocaleString(),
};

/** Counts end at 999. */
function countOf({ unread, more }: InboxCounts): string {
  return more ? `${unread}+` : `${unread}`;
}
