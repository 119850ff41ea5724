import { epochOf } from '../cursors.ts';
import type { CloudEvent, Gap } from '../types.ts';
import { Refusal } from './answers.ts';
import { requireCursor } from './checks.ts';

/** An event of the log. */
export interface Stored {
  readonly sequence: number;
  readonly event: CloudEvent;
  /** Milliseconds since 1970. */
  readonly storedMs: number;
}

/** A part that the log has lost: the sequences behind `from`, up to its own. */
interface Lost {
  readonly sequence: number;
  readonly from: number;
}

const TIME = /^\d{4}-\d{2}-\d{2}/;

/** The log in memory, with cursors as they are: epochs that change, and parts that are lost (PROTOCOL 4 and 5). */
export class FakeLog {
  #entries: (Stored | Lost)[] = [];
  #logs = 1;
  /** The epochs of this log, and the last sequence that each of them shares with the present one. */
  #epochs: { readonly name: string; end: number }[] = [
    { name: 'fake1', end: Number.POSITIVE_INFINITY },
  ];
  #last = 0;

  get end(): string {
    return this.cursorOf(this.#last);
  }

  cursorOf(sequence: number): string {
    return `${this.#epochs.at(-1)?.name}-${sequence}`;
  }

  append(event: CloudEvent): string {
    this.#entries.push({ sequence: ++this.#last, event, storedMs: Date.now() });
    return this.end;
  }

  /** What is there to be shown now, in order. */
  get events(): Stored[] {
    const now = Date.now();
    return this.#entries.filter((one) => isEvent(one)).filter(({ event }) => expiryMs(event) > now);
  }

  /** What comes after a sequence: events, and the gaps between them. */
  after(sequence: number): (Stored | Gap)[] {
    const now = Date.now();
    return this.#entries.flatMap((one): (Stored | Gap)[] => {
      if (one.sequence <= sequence) return [];
      if (isEvent(one)) return expiryMs(one.event) > now ? [one] : [];
      const from = this.cursorOf(Math.max(one.from, sequence));
      return [{ from, to: this.cursorOf(one.sequence), reason: 'expired' }];
    });
  }

  /** All that is lost, as what may be missing among the last events. */
  get gaps(): Gap[] {
    return this.after(0).filter((one) => 'reason' in one);
  }

  /** Where a start is (PROTOCOL 4). @throws Refusal `invalid_cursor`, `invalid_time` */
  find(start: string): { readonly sequence: number; readonly gap?: Gap } {
    if (start === 'latest' || start === 'last') return { sequence: this.#last };
    if (start === 'earliest') return { sequence: this.#begin };
    if (TIME.test(start)) return { sequence: this.#before(start) };
    requireCursor(start);
    const sequence = Number(start.slice(start.lastIndexOf('-') + 1));
    const index = this.#epochs.findIndex(({ name }) => name === epochOf(start));
    if (index < 0) return this.#cut(0, start, 'epoch');
    const kept = Math.min(this.#last, ...this.#epochs.slice(index).map(({ end }) => end));
    return sequence > kept ? this.#cut(kept, start, 'future') : { sequence };
  }

  /** So many events were stored and are gone before anybody received them. */
  expire(count: number): void {
    const from = this.#last;
    this.#last += count;
    this.#entries.push({ sequence: this.#last, from });
  }

  /** The log loses so many sequences at its end, and goes on in a new epoch. */
  loseEnd(count: number): void {
    const kept = this.#last - count;
    if (kept < 0)
      throw new RangeError(`The log has ${this.#last} events, and cannot lose ${count}.`);
    const present = this.#epochs.at(-1);
    if (present) present.end = kept;
    this.#epochs.push({
      name: `fake${this.#logs}.${this.#epochs.length}`,
      end: Number.POSITIVE_INFINITY,
    });
    this.#entries = this.#entries.filter(({ sequence }) => sequence <= kept);
    this.#last = kept;
  }

  /** Another log takes its place, and has nothing yet. */
  replace(): void {
    this.#entries = [];
    this.#last = 0;
    this.#epochs = [{ name: `fake${++this.#logs}`, end: Number.POSITIVE_INFINITY }];
  }

  /** What was lost before the first event that there is, nobody is told of who asks for the earliest. */
  get #begin(): number {
    const index = this.#entries.findIndex(isEvent);
    return index <= 0 ? 0 : (this.#entries[index - 1]?.sequence ?? 0);
  }

  #before(time: string): number {
    const ms = Date.parse(time);
    if (Number.isNaN(ms)) {
      const example = 'an RFC 3339 time such as 2026-01-31T12:00:00Z';
      throw new Refusal('invalid_time', `${JSON.stringify(time)} is not ${example}.`);
    }
    const first = this.#entries.find((one) => isEvent(one) && one.storedMs >= ms);
    return first ? first.sequence - 1 : this.#last;
  }

  #cut(sequence: number, from: string, reason: Gap['reason']) {
    return { sequence, gap: { from, to: this.cursorOf(sequence), reason } };
  }
}

function isEvent(entry: Stored | Lost): entry is Stored {
  return 'event' in entry;
}

/** When an event expires (PROTOCOL 3.1), in milliseconds since 1970. */
export function expiryMs({ expires }: CloudEvent): number {
  return typeof expires === 'string' ? Date.parse(expires) : Number.POSITIVE_INFINITY;
}
