import type { CloudEvent, Message } from './types.ts';

/** A message that the consumer has not finished with. */
export interface Item {
  readonly message: Message<CloudEvent>;
  readonly size: number;
  /** The subscription's position once this is finished; it grows while nothing else comes behind it. */
  after: string | undefined;
}

/** At either of these, the library leaves the subscription until half of them have been taken. */
export const QUEUE_LIMITS = { items: 1000, bytes: 1 << 20 };

/** What has arrived and waits for the consumer. Taking is constant in time, also with many items. */
export class MessageQueue {
  #items: (Item | undefined)[] = [];
  #first = 0;
  #bytes = 0;

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
  }

  take(): Item | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#first];
    this.#items[this.#first++] = undefined;
    this.#bytes -= item?.size ?? 0;
    if (this.#first > QUEUE_LIMITS.items || this.length === 0) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
    this.#bytes = 0;
  }
}
