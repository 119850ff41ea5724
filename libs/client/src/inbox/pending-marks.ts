import { sequenceOf } from '../cursors.ts';
import type { ItemList } from './item-list.ts';
import { isSameState, marker, presentState } from './states.ts';
import type { ItemState } from './types.ts';
import type { MarkBody } from './wire.ts';

/** A mark that is shown before the service has said what became of it. */
export interface PendingMark {
  readonly body: MarkBody;
  readonly apply: (sequence: number, state: ItemState) => ItemState;
  /** The service has it: it is shown until the inbox is known as of there. */
  confirmedAt?: number;
}

/** Marks on their way. They stay on top of what the service says until it says the same. */
export class PendingMarks {
  #all: PendingMark[] = [];

  add(body: MarkBody): PendingMark {
    const mark = { body, apply: marker(body) };
    this.#all.push(mark);
    return mark;
  }

  remove(mark: PendingMark): void {
    this.#all = this.#all.filter((one) => one !== mark);
  }

  /** The service has said what the inbox holds as of `sequence`. */
  reach(sequence: number): void {
    this.#all = this.#all.filter(({ confirmedAt }) => !(confirmedAt && confirmedAt <= sequence));
  }

  /** The state of an item with these marks. */
  on(sequence: number, state: ItemState): ItemState {
    return this.#all.reduce((result, { apply }) => apply(sequence, result), state);
  }

  /** Which counts a mark up to a position at `low` or behind makes known: no item below is counted any more. */
  known(low: number): { readonly unseen: boolean; readonly unread: boolean } {
    const upTo = this.#all.filter(({ body }) => body.upTo && sequenceOf(body.upTo) >= low);
    return { unseen: upTo.length > 0, unread: upTo.some(({ body }) => body.mark !== 'seen') };
  }
}

/** Whether the service has not said yet what a mark says of the known items. */
export function isNeeded({ apply }: PendingMark, list: ItemList, nowMs: number): boolean {
  return list.entries.some((entry) => {
    const state = list.stateOf(entry);
    const marked = apply(entry.sequence, state);
    return !isSameState(presentState(marked, nowMs), presentState(state, nowMs));
  });
}
