import type { CloudEvent } from '../../api/types.ts';

/** Which items are listed (PROTOCOL.md section 14.1); empty for what is neither archived nor hidden. */
export const STATES = [
  { value: '', label: 'new and read' },
  { value: 'unseen', label: 'unseen' },
  { value: 'unread', label: 'unread' },
  { value: 'read', label: 'read' },
  { value: 'archived', label: 'archived' },
  { value: 'snoozed', label: 'hidden for a time' },
  { value: 'all', label: 'all' },
] as const;

export type StateFilter = (typeof STATES)[number]['value'];

/** Items of one page. */
export const PAGE = 30;

/** What is shown of an item, whoever's it is. */
export interface ShownItem {
  readonly cursor: string;
  readonly event: CloudEvent;
  readonly state: {
    readonly seen: boolean;
    readonly read: boolean;
    readonly archived: boolean;
    readonly snoozed?: string;
  };
}

export interface Counts {
  readonly unseen: number;
  readonly unread: number;
  readonly more: boolean;
}

/** A pattern that is followed or muted. */
export interface Rule {
  readonly pattern: string;
  readonly types?: readonly string[];
  /** Of a follow: whether the token still permits it. */
  readonly permitted?: boolean;
}

/** What the user of the page may do with an item; absent for the inbox of another. */
export interface ItemActions {
  readonly read: (cursor: string) => void;
  readonly unread: (cursor: string) => void;
  readonly archive: (cursor: string) => void;
  readonly unarchive: (cursor: string) => void;
  /** Hides it for an hour. */
  readonly snooze: (cursor: string) => void;
  readonly unsnooze: (cursor: string) => void;
}

/** What the user of the page may do with the rules. */
export interface RuleActions {
  readonly follow: (pattern: string) => void;
  readonly unfollow: (rule: Rule) => void;
  readonly mute: (pattern: string) => void;
  readonly unmute: (rule: Rule) => void;
}
