import { sequenceOf } from '../cursors.ts';
import type { ItemHeader } from './rules.ts';
import type { InboxCounts } from './types.ts';
import type { CountsAnswer, Notice } from './wire.ts';

/** Both counts end here. */
export const COUNT_MAX = 999;
/** Most items behind the last counts that are remembered. */
export const NEWER_MAX = 2000;
/** Clients that an erasure makes ask again spread over so long, in milliseconds. */
export const RECOUNT_WITHIN_MS = 100_000;

/** The counts now. */
export interface PresentCounts extends InboxCounts {
  /** Ask the service again, after a random part of so many milliseconds; absent while they are right. */
  readonly askWithinMs?: number;
  /** When they change without an event, in milliseconds since 1970. */
  readonly nextMs: number;
}

/** What was erased, as far as is known: nothing outside of this range of sequences. */
interface Erased {
  readonly from: number;
  /** The last record of an erasure. */
  readonly record: number;
}

const NOTHING: Erased = { from: Number.POSITIVE_INFINITY, record: 0 };

/**
 * The counts of an inbox by the rule of PROTOCOL 14.6: the last ones that the service gave, and the items behind them.
 * Events may come twice, and in any order.
 */
export class LiveCounts {
  #answer: CountsAnswer;
  /** Where the answer holds. */
  #at: number;
  /** Changes of the inbox up to there are in the answer. */
  #changed: number;
  /** Items up to there are not remembered. */
  #forgotten: number;
  #newer = new Map<number, ItemHeader>();
  #erased = NOTHING;

  constructor(answer: CountsAnswer) {
    this.#answer = answer;
    this.#at = this.#changed = this.#forgotten = sequenceOf(answer.cursor);
  }

  /** The last change of the inbox that the counts have. */
  get changed(): number {
    return this.#changed;
  }

  /** Goes on at an answer to a further question. A change that came meanwhile has counts of its own. */
  renew(answer: CountsAnswer): void {
    const at = sequenceOf(answer.cursor);
    if (this.#changed > at) return;
    this.#changed = at;
    this.#forgotten = Math.max(this.#forgotten, at);
    this.#take(answer);
  }

  /** @returns false for a change that the counts have already */
  change(sequence: number, counts: CountsAnswer | undefined): boolean {
    if (sequence <= this.#changed) return false;
    this.#changed = sequence;
    if (counts) this.#take(counts);
    return true;
  }

  /** @returns false where it may be what an erasure erased */
  add(item: ItemHeader): boolean {
    const { sequence } = item;
    if (this.#newer.has(sequence)) return true;
    if (sequence >= this.#erased.from && sequence < this.#erased.record) {
      if (sequence > this.#at) this.#forget(sequence);
      return false;
    }
    if (sequence <= this.#at) return true;
    this.#newer.set(sequence, item);
    if (this.#newer.size > NEWER_MAX) {
      const oldest = Math.min(...this.#newer.keys());
      this.#newer.delete(oldest);
      this.#forget(oldest);
    }
    return true;
  }

  /** What came behind the counts is taken out; whether they have anything of it, only the service knows. */
  erase({ record, cursors }: Notice, isErased: (item: ItemHeader) => boolean): void {
    for (const item of this.#newer.values()) {
      if (isErased(item)) this.#newer.delete(item.sequence);
    }
    const known = this.#at >= this.#erased.record ? NOTHING : this.#erased;
    const from = Math.min(known.from, ...(cursors?.map(sequenceOf) ?? [1]));
    this.#erased = { from, record: Math.max(known.record, sequenceOf(record)) };
  }

  /** @param nowMs milliseconds since 1970 */
  now(accepts: (item: ItemHeader) => boolean, nowMs: number): PresentCounts {
    const { unseen, unread, more, until } = this.#answer;
    let nextMs = until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until);
    const isStale = nextMs <= nowMs || this.#forgotten > this.#at;
    const mayBeLess = this.#erased.from <= this.#at && this.#at < this.#erased.record;
    let added = 0;
    for (const item of this.#newer.values()) {
      if (item.expiresMs <= nowMs || !accepts(item)) continue;
      nextMs = Math.min(nextMs, item.expiresMs);
      added++;
    }
    return {
      unseen: Math.min(unseen + added, COUNT_MAX),
      unread: Math.min(unread + added, COUNT_MAX),
      more: more || unread + added > COUNT_MAX,
      nextMs,
      ...((isStale || mayBeLess) && { askWithinMs: isStale ? 0 : RECOUNT_WITHIN_MS }),
    };
  }

  #take(answer: CountsAnswer): void {
    this.#answer = answer;
    this.#at = sequenceOf(answer.cursor);
    for (const sequence of this.#newer.keys()) {
      if (sequence <= this.#at) this.#newer.delete(sequence);
    }
  }

  #forget(sequence: number): void {
    this.#forgotten = Math.max(this.#forgotten, sequence);
  }
}

/** Which items a notice names. */
export function erasedBy({ topic, record, cursors }: Notice): (item: ItemHeader) => boolean {
  const end = sequenceOf(record);
  const named = cursors && new Set(cursors.map(sequenceOf));
  return (item) => named?.has(item.sequence) ?? (item.topic === topic && item.sequence < end);
}
