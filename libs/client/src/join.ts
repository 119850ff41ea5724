import { deferred } from './deferred.ts';
import { Listeners } from './listeners.ts';
import type { CloudEvent, Joined, JoinOptions, SubscribeOptions, Subscription } from './types.ts';

/** What a joined state needs of its client. */
export interface JoinHost {
  /** The end of the log now; waits while the gateway is away. */
  head(): Promise<string>;
  subscribe(
    topics: string | readonly string[],
    options: SubscribeOptions,
  ): Subscription<CloudEvent>;
}

/** Position first, state second, changes after the position: so the state misses nothing (PROTOCOL 4.1). */
export class JoinedState<State> implements Joined<State> {
  state: State | undefined;
  readonly ready: Promise<void>;
  readonly #host: JoinHost;
  readonly #options: JoinOptions<State, CloudEvent>;
  readonly #changes = new Listeners<[State]>();
  #subscription: Subscription<CloudEvent> | undefined;
  #isClosed = false;

  constructor(host: JoinHost, options: JoinOptions<State, CloudEvent>) {
    this.#host = host;
    this.#options = options;
    options.signal?.addEventListener('abort', () => this.close());
    const { promise, resolve, reject } = deferred();
    this.ready = promise;
    this.#follow(resolve).catch(reject);
  }

  on(_type: 'change', handle: (state: State) => void): () => void {
    return this.#changes.add(handle);
  }

  close(): void {
    this.#isClosed = true;
    this.#subscription?.close();
  }

  async #follow(onReady: () => void): Promise<void> {
    while (!this.#isClosed) {
      const after = await this.#host.head();
      this.#set(await this.#options.fetchState());
      onReady();
      if (this.#isClosed) return;
      const { topics, types } = this.#options;
      this.#subscription = this.#host.subscribe(topics, { after, ...(types && { types }) });
      await this.#read(this.#subscription);
    }
  }

  /** Until it is closed, or a gap says that only a new read of the state has what is lost. */
  async #read(subscription: Subscription<CloudEvent>): Promise<void> {
    for await (const message of subscription.messages()) {
      if (message.type === 'gap') return;
      if (message.type === 'event') {
        this.#set(this.#options.apply(this.state as State, message.event, message.cursor));
      }
    }
    this.#isClosed = true;
  }

  #set(state: State): void {
    this.state = state;
    this.#changes.tell(state);
  }
}
