import type { CloudEvent, Message } from './types.ts';

/** A message that the consumer has not finished with. */
export interface Item {
  /** `undefined`: skipped in favour of a newer event of its topic. */
  message: Message<CloudEvent> | undefined;
  size: number;
  /** The subscription's position once this is finished; it grows while nothing else comes behind it. */
  after: string | undefined;
}

/** At either of these, the library leaves the subscription until half of them have been taken. */
export const QUEUE_LIMITS = { items: 1000, bytes: 1 << 20 };

/** An item that the consumer gets. */
export type Taken = Item & { readonly message: Message<CloudEvent> };

/** What has arrived and waits for the consumer. Taking is constant in time, also with many items. */
export class MessageQueue {
  /** Where only the newest event of a topic has to wait: those that wait, by topic. */
  readonly #newestOf: Map<string, Item> | undefined;
  #items: (Item | undefined)[] = [];
  #first = 0;
  #bytes = 0;

  constructor(deliver: 'all' | 'latest' = 'all') {
    this.#newestOf = deliver === 'latest' ? new Map() : undefined;
  }

  get length(): number {
    return this.#items.length - this.#first;
  }

  get newest(): Item | undefined {
    return this.length > 0 ? this.#items.at(-1) : undefined;
  }

  get isFull(): boolean {
    return this.length >= QUEUE_LIMITS.items || this.#bytes >= QUEUE_LIMITS.bytes;
  }

  get isHalfEmpty(): boolean {
    return this.length <= QUEUE_LIMITS.items / 2 && this.#bytes <= QUEUE_LIMITS.bytes / 2;
  }

  push(item: Item): void {
    this.#items.push(item);
    this.#bytes += item.size;
    if (item.message?.type !== 'event') return;
    const { topic } = item.message.event;
    const older = this.#newestOf?.get(topic);
    // One of the last events has no position of its own, and stays.
    if (older?.after !== undefined) this.#skip(older);
    this.#newestOf?.set(topic, item);
  }

  /** @returns the next message; `skipped` stands for all that were skipped before it */
  take(): Taken | undefined {
    let item = this.#shift();
    if (!item) return undefined;
    if (item.message) return item as Taken;
    let count = 1;
    while (this.#items[this.#first]?.message === undefined && this.length > 0) {
      item = this.#shift() ?? item;
      count++;
    }
    const { after, after: cursor = '' } = item;
    return { message: { type: 'skipped', count, cursor }, size: 0, after };
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#newestOf?.clear();
  }

  #skip(item: Item): void {
    this.#bytes -= item.size;
    item.size = 0;
    item.message = undefined;
  }

  #shift(): Item | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#first];
    this.#items[this.#first++] = undefined;
    this.#bytes -= item?.size ?? 0;
    if (this.#first > QUEUE_LIMITS.items || this.length === 0) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    if (item?.message?.type === 'event') this.#newestOf?.delete(item.message.event.topic);
    return item;
  }
}
