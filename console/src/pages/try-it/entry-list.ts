import type { CloudEvent } from '../../api/types.ts';
import { sequenceOf } from '../../events/cursors.ts';

/** An event of the trial's topic. */
export interface Entry {
  readonly cursor: string;
  readonly sequence: number;
  readonly event: CloudEvent;
  /** How the subscriber got it; `undefined` while it did not. */
  readonly how: 'live' | 'catch-up' | undefined;
  /** From the press of the button to its arrival, of an event that this page published and that came live; in ms. */
  readonly tookMs: number | undefined;
}

/** Events that the page keeps. */
const ENTRIES_MAX = 300;

/** The events of a trial in the order of the log, whether the publisher or the subscriber heard of them first. */
export class EntryList {
  readonly #entries = new Map<string, Entry>();
  readonly #sentMs = new Map<string, number>();

  /** An event is on its way to the gateway. It may arrive before the gateway's answer does. */
  sent(id: string, atMs: number): void {
    this.#sentMs.set(id, atMs);
    trim(this.#sentMs);
  }

  /** The stream has stored an event. */
  stored(cursor: string, event: CloudEvent): void {
    if (!this.#entries.has(cursor)) this.#put({ cursor, event, how: undefined, tookMs: undefined });
  }

  /** The subscriber has got an event; if it had it already, nothing changes. */
  came(
    cursor: string,
    event: CloudEvent,
    { how, atMs }: { readonly how: 'live' | 'catch-up'; readonly atMs: number },
  ): void {
    if (this.#entries.get(cursor)?.how) return;
    const sentMs = this.#sentMs.get(event.id);
    const tookMs = sentMs !== undefined && how === 'live' ? atMs - sentMs : undefined;
    this.#put({ cursor, event, how, tookMs });
  }

  /** All of them, oldest first. */
  entries(): readonly Entry[] {
    return [...this.#entries.values()].sort((one, other) => one.sequence - other.sequence);
  }

  #put(entry: Omit<Entry, 'sequence'>): void {
    this.#entries.set(entry.cursor, { ...entry, sequence: sequenceOf(entry.cursor) ?? 0 });
    trim(this.#entries);
  }
}

function trim(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= ENTRIES_MAX) return;
    map.delete(key);
  }
}

/** Whether the subscriber is past an event that it never got: it was skipped in favour of a newer one. */
export function isSkipped({ how, sequence }: Entry, position: number | undefined): boolean {
  return how === undefined && position !== undefined && sequence <= position;
}
