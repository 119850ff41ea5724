import { sequenceOf } from '../cursors.ts';
import type { CloudEvent } from '../types.ts';
import type { ItemHeader } from './rules.ts';
import { isSameState, NEW_ITEM, statesOf } from './states.ts';
import type { InboxItem, ItemState } from './types.ts';
import { type ChangeData, expiryMs, type PageAnswer } from './wire.ts';

/** Most items that live arrivals keep in memory: beyond it, the oldest falls off for each new one. */
export const LIVE_ITEMS_MAX = 1000;

/** An item that is known, shown or not. */
export interface Entry extends ItemHeader {
  /** What is shown of it, or was. */
  item: InboxItem;
  /** Its state, as of a position. */
  readonly state: ItemState;
  readonly asOf: number;
}

/** The known items of an inbox, the newest first, from pages and from live events. */
export class ItemList {
  #entries: Entry[] = [];
  #next: string | null = null;
  #most = LIVE_ITEMS_MAX;
  #changed = 0;
  #stateAt: ((sequence: number) => ItemState) | undefined;

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Where older items begin; `null` where there are none. */
  get next(): string | null {
    return this.#next;
  }

  /** All items behind it are known. */
  get low(): number {
    return this.#next === null ? 0 : sequenceOf(this.#next);
  }

  has(sequence: number): boolean {
    return this.#entries.some((one) => one.sequence === sequence);
  }

  /**
   * Takes a first page: what is behind it stays.
   *
   * @param isOther of another log, or across a gap: nothing stays
   */
  replace(page: PageAnswer, isOther: boolean): void {
    const end = sequenceOf(page.cursor);
    const behind = isOther ? [] : this.#entries.filter(({ sequence }) => sequence > end);
    const known = isOther ? [] : this.#entries;
    if (isOther) this.#changed = 0;
    this.#entries = [...behind, ...this.#read(page, known)];
    this.#next = page.next;
    this.#most = LIVE_ITEMS_MAX;
  }

  /** Takes a page of older items. What a user has paged to stays. */
  append(page: PageAnswer): void {
    this.#entries.push(...this.#read(page, []));
    this.#next = page.next;
    this.#most = Math.max(LIVE_ITEMS_MAX, this.#entries.length);
  }

  /** Takes a new item. It may come twice, or late. */
  add(header: ItemHeader, cursor: string, event: CloudEvent): void {
    const { sequence } = header;
    const at = this.#entries.findIndex((one) => one.sequence <= sequence);
    if (sequence < this.low || this.#entries[at]?.sequence === sequence) return;
    const item = { cursor, event, state: NEW_ITEM };
    const entry = { ...header, item, state: NEW_ITEM, asOf: sequence };
    this.#entries.splice(at < 0 ? this.#entries.length : at, 0, entry);
    if (this.#entries.length <= this.#most) return;
    this.#entries.pop();
    this.#next = this.#entries.at(-1)?.item.cursor ?? null;
  }

  erase(isErased: (item: ItemHeader) => boolean): void {
    this.#entries = this.#entries.filter((one) => !isErased(one));
  }

  /** What a change of the inbox says of all items. */
  change(sequence: number, data: ChangeData): void {
    this.#changed = sequence;
    this.#stateAt = statesOf(data);
  }

  /** The state of an item by what the service said last. */
  stateOf({ sequence, asOf, state }: Entry): ItemState {
    return (this.#changed > asOf ? this.#stateAt?.(sequence) : undefined) ?? state;
  }

  /** What is shown of an item in a state: the same object until that changes. */
  show(entry: Entry, state: ItemState): InboxItem {
    if (!isSameState(entry.item.state, state)) entry.item = { ...entry.item, state };
    return entry.item;
  }

  #read({ items, cursor }: PageAnswer, known: readonly Entry[]): Entry[] {
    const shown = new Map(known.map((one) => [one.sequence, one.item]));
    const asOf = sequenceOf(cursor);
    return items.map((item) => {
      const { event, state } = item;
      const { topic, type } = event;
      const sequence = sequenceOf(item.cursor);
      const header = { sequence, topic, type, expiresMs: expiryMs(event) };
      return { ...header, item: shown.get(sequence) ?? item, state, asOf };
    });
  }
}
