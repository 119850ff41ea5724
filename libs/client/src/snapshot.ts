import { deferred } from './deferred.ts';
import { Listeners } from './listeners.ts';
import type {
  CloudEvent,
  Snapshot,
  SnapshotOptions,
  SubscribeOptions,
  Subscription,
} from './types.ts';

type Subscribe = (options: SubscribeOptions) => Subscription<CloudEvent>;

/** A map of the newest events: `after: "last"`, and what comes behind it (PROTOCOL 4.2). */
export class LiveSnapshot implements Snapshot<CloudEvent> {
  readonly topics = new Map<string, CloudEvent>();
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  readonly #subscribe: Subscribe;
  readonly #options: SnapshotOptions;
  readonly #changes = new Listeners<[string, CloudEvent | undefined]>();
  #subscription: Subscription<CloudEvent> | undefined;
  /** Topics of before that the last events have not named again. */
  #unconfirmed = new Set<string>();
  #isClosed = false;

  constructor(subscribe: Subscribe, options: SnapshotOptions) {
    this.#subscribe = subscribe;
    this.#options = options;
    const { promise, resolve, reject } = deferred();
    this.ready = promise;
    this.ended = this.#follow(resolve);
    this.ended.catch(reject);
  }

  on(_type: 'change', handle: (topic: string, event: CloudEvent | undefined) => void): () => void {
    return this.#changes.add(handle);
  }

  close(): void {
    this.#isClosed = true;
    this.#subscription?.close();
  }

  async #follow(onLive: () => void): Promise<void> {
    while (!this.#isClosed) {
      const { tombstone: _, ...options } = this.#options;
      this.#subscription = this.#subscribe({ ...options, after: 'last' });
      await this.#read(this.#subscription, onLive);
    }
  }

  /** Until it is closed, or a gap says that changes are lost: then the newest events are read anew. */
  async #read(subscription: Subscription<CloudEvent>, onLive: () => void): Promise<void> {
    let isLive = false;
    this.#unconfirmed = new Set(this.topics.keys());
    for await (const message of subscription.messages()) {
      if (message.type === 'event') this.#apply(message.event);
      else if (message.type === 'reset') this.#unconfirmed = new Set(this.topics.keys());
      else if (message.type === 'gap' && isLive) return;
      else if (message.type === 'live') {
        isLive = true;
        for (const topic of this.#unconfirmed) this.#set(topic, undefined);
        onLive();
      }
    }
    this.#isClosed = true;
  }

  #apply(event: CloudEvent): void {
    const isTombstone = this.#options.tombstone ?? isEmpty;
    this.#set(event.topic, isTombstone(event) ? undefined : event);
  }

  #set(topic: string, event: CloudEvent | undefined): void {
    this.#unconfirmed.delete(topic);
    if (event) this.topics.set(topic, event);
    else if (!this.topics.delete(topic)) return;
    this.#changes.tell(topic, event);
  }
}

function isEmpty({ data, data_base64 }: CloudEvent): boolean {
  return (data === undefined || data === null) && data_base64 === undefined;
}
