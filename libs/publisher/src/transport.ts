import type { Check, OutgoingEvent } from './outgoing-event.ts';
import type { AppendOptions } from './types.ts';

/** One attempt to store events. */
export interface Attempt {
  readonly events: readonly OutgoingEvent[];
  /** For a single event. */
  readonly ifMatch?: AppendOptions['ifMatch'] | undefined;
  /** Ends the attempt, because the publisher is closed. */
  readonly signal: AbortSignal;
}

/** How events reach the stream. */
export interface Transport<Result> {
  /** Most events of an attempt, and most bytes of their JSON; a single event may have more. */
  readonly eventsMax: number;
  readonly bytesMax: number;
  /** Most attempts at one time. */
  readonly attemptsMax: number;
  /** Checks each event before it is added. */
  readonly check?: Check;
  /**
   * Stores events in their order, or repeats what an earlier attempt has stored.
   *
   * @returns what is stored, in the order of the events
   * @throws TidemarkPublisherError; where it is not `retryable`, and a fault's path begins with `[n]`, of that event
   */
  send(attempt: Attempt): Promise<readonly Result[]>;
}
