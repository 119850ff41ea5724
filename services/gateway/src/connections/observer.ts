import type { CloseReason, Position } from '@tidemark/protocol';
import type { EventEntry } from '../log/event-entry.ts';
import type { Gap } from './encoder.ts';

/** The tiers that catch-ups read from, from newest to oldest events. */
export const TIERS = ['tail', 'stream', 'archive'] as const;
export type Tier = (typeof TIERS)[number];

export type CatchUpEnd = 'live' | 'failed' | 'left';

/** Observes how one subscription catches up. */
export interface CatchUpObserver {
  /** Called with the entries that were written for it, in order. */
  written(tier: Tier, entries: readonly EventEntry[]): void;
  end(how: CatchUpEnd): void;
}

/** Observes what happens to a connection, for the log lines, the metrics and the traces. */
export interface ConnectionObserver {
  /** @returns an observer of the catch-up, if the subscription begins behind the head */
  subscribed(
    subscription: { readonly id: string; readonly patterns: readonly string[] },
    at: { readonly position: Position; readonly head: number },
  ): CatchUpObserver | undefined;
  unsubscribed(id: string): void;
  gap(id: string, gap: Gap): void;
  closing(reason: CloseReason): void;
}
