import type { Position } from '@tidemark/protocol';
import type { CatchUpReader } from './catch-up-reader.ts';
import type { Subscription } from './subscription.ts';

/** How far the subscriptions of a connection are at one moment. */
export interface Progress {
  readonly epoch: string;
  /** Those whose start is not known yet. */
  readonly resolving: readonly Subscription[];
  readonly readers: readonly Pick<CatchUpReader, 'subscriptions' | 'sequence' | 'hasLast'>[];
  readonly live: readonly Subscription[];
  /** What all live ones have reached. */
  readonly liveSequence: number;
}

/** A subscription, and how far it is. */
export interface SubscriptionState {
  readonly subscription: Subscription;
  readonly state: 'starting' | 'catching-up' | 'live';
  /** What it has reached; `undefined` before it has begun. */
  readonly position: Position | undefined;
}

/** Each subscription with its state. */
export function* statesOf(progress: Progress): Iterable<SubscriptionState> {
  const { epoch, resolving, readers, live, liveSequence } = progress;
  for (const subscription of resolving) {
    yield { subscription, state: 'starting', position: undefined };
  }
  for (const { subscriptions, sequence: read } of readers) {
    for (const subscription of subscriptions) {
      const sequence = Math.max(read, subscription.after);
      yield { subscription, state: 'catching-up', position: { epoch, sequence } };
    }
  }
  const position = { epoch, sequence: liveSequence };
  for (const subscription of live) yield { subscription, state: 'live', position };
}

/** The position that every subscription has passed; `undefined` while one of them has none yet. */
export function positionOf(progress: Progress): Position | undefined {
  const { epoch, resolving, readers, live, liveSequence } = progress;
  // Whoever came back there would miss the last events that are left.
  if (readers.some(({ hasLast }) => hasLast)) return undefined;
  if (resolving.length > 0 || (live.length === 0 && readers.length === 0)) return undefined;
  // A subscription may begin beyond the head of a gateway that lags. Nothing live is at the head then.
  const passed = readers.map(({ sequence }) => sequence);
  if (live.length > 0) passed.push(liveSequence);
  return { epoch, sequence: Math.min(...passed) };
}
