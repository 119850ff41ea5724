import type { CloseReason, Position } from '@tidemark/protocol';
import type { EventEntry } from '../log/event-entry.ts';
import type { Gap } from './encoder.ts';

/** Where the events of a catch-up come from, from the newest to the oldest. */
export const TIERS = ['tail', 'stream', 'archive'] as const;
export type Tier = (typeof TIERS)[number];

export type CatchUpEnd = 'live' | 'failed' | 'left';

/** Is told how one subscription catches up. */
export interface CatchUpObserver {
  /** Entries that were written for it, in order. */
  written(tier: Tier, entries: readonly EventEntry[]): void;
  end(how: CatchUpEnd): void;
}

/** Is told what happens to a connection, for the log, the metrics and the traces. */
export interface ConnectionObserver {
  /** @returns an observer of the catch-up, where the subscription begins behind the head */
  subscribed(
    subscription: { readonly id: string; readonly patterns: readonly string[] },
    at: { readonly position: Position; readonly head: number },
  ): CatchUpObserver | undefined;
  unsubscribed(id: string): void;
  gap(id: string, gap: Gap): void;
  closing(reason: CloseReason): void;
}
