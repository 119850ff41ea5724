import { matches } from '@tidemark/protocol';

/** What a client asks for. */
export interface SubscriptionChoice {
  readonly name: string;
  readonly patterns: readonly string[];
  readonly deliver: 'all' | 'latest';
  /** Where it begins when it has no cursor yet. */
  readonly start: string | undefined;
}

/** One subscription of a client, with the cursor that the client keeps for it. */
export class Subscription {
  readonly choice: SubscriptionChoice;
  cursor: string | undefined;
  /** Whether `subscribed` has confirmed it on the present connection. */
  confirmed = false;
  live = false;

  constructor(choice: SubscriptionChoice) {
    this.choice = choice;
  }

  /** Whether an event belongs to it (PROTOCOL.md section 6.4). */
  takes(topic: string, cursor: string): boolean {
    if (!this.confirmed || !this.isBefore(cursor)) return false;
    return this.choice.patterns.some((pattern) => matches(pattern, topic));
  }

  /** Whether its own cursor has a lower sequence, or is of another log. */
  isBefore(cursor: string): boolean {
    if (this.cursor === undefined) return false;
    return logOf(this.cursor) !== logOf(cursor) || sequenceOf(this.cursor) < sequenceOf(cursor);
  }

  /** The connection has ended. */
  disconnect(): void {
    this.confirmed = false;
    this.live = false;
  }
}

function logOf(cursor: string): string {
  return /^[^.-]+/.exec(cursor)?.[0] ?? '';
}

/** The number in a cursor. */
export function sequenceOf(cursor: string): number {
  return Number(cursor.slice(cursor.lastIndexOf('-') + 1));
}
