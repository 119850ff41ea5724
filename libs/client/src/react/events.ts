import { useMemo } from 'react';
import type {
  CloudEvent,
  EventMap,
  EventOf,
  Gap,
  Message,
  SubscribeOptions,
  Tidemark,
} from '../types.ts';
import { type Failure, type Hearer, LiveStore, type Source, useLive } from './live-store.ts';
import { useTidemark } from './provider.ts';
import { useLatest } from './timing.ts';

/** Most events that a list may have; each change copies the list. */
export const LIST_EVENTS_MAX = 10_000;
/** The gaps that are shown: the newest ones. */
export const LIST_GAPS_MAX = 100;

const LIMIT = 100;

/** What a list may choose. Other options begin a new list; a new array or object that holds the same does not. */
export interface UseEventsOptions extends Omit<SubscribeOptions, 'signal'> {
  /** How many of the newest events are listed: 0 to 10,000; 100 if absent. */
  readonly limit?: number;
}

/** The newest events of a subscription. It is immutable: each change makes a new one. */
export interface EventList<Event = CloudEvent> extends Failure {
  /** In the order of the log: the newest is the last. */
  readonly events: readonly Event[];
  /** Everything that was stored before the subscription began is here, or was. */
  readonly isLive: boolean;
  /** Parts of the log that are missing, such as expired ones; the newest 100. */
  readonly gaps: readonly Gap[];
}

/**
 * Follows topics while the component is mounted. Events that come in one frame are rendered once.
 *
 * `onEvent` is called with each event and its cursor, in order and without waiting for a frame, such as for a sound. The
 * next event waits for its promise. Where it fails, the list ends with what it threw as `error`, and the cursor of a
 * subscription with a name stays before that event.
 *
 * ```tsx
 * const { events, isLive } = useEvents(['orders.*'], { after: 'earliest', limit: 50 });
 * ```
 * @throws RangeError where the limit is none
 */
export function useEvents<Events extends EventMap = Record<string, unknown>>(
  topics: string | readonly string[],
  options: UseEventsOptions = {},
  onEvent?: (event: EventOf<Events>, cursor: string) => unknown,
): EventList<EventOf<Events>> {
  const client = useTidemark();
  const { limit = LIMIT, ...more } = options;
  if (!Number.isInteger(limit) || limit < 0 || limit > LIST_EVENTS_MAX) {
    throw new RangeError(`limit is 0 to ${LIST_EVENTS_MAX}, not ${limit}.`);
  }
  const latest = useLatest(onEvent as OnEvent | undefined);
  const key = JSON.stringify([[topics].flat(), limit, more]);
  const store = useMemo(() => {
    const [topics, limit, options] = JSON.parse(key);
    const handle: OnEvent = (event, cursor) => latest.current?.(event, cursor);
    return new LiveStore(client, new ListedEvents(client, topics, options, limit, handle));
  }, [client, key, latest]);
  return useLive(store) as EventList<EventOf<Events>>;
}

type OnEvent = (event: CloudEvent, cursor: string) => unknown;

class ListedEvents implements Source<EventList> {
  readonly #client: Tidemark;
  readonly #topics: readonly string[];
  readonly #options: SubscribeOptions;
  readonly #limit: number;
  readonly #handle: OnEvent;
  #events: CloudEvent[] = [];
  #gaps: readonly Gap[] = [];
  #isLive = false;
  /** Where it goes on when it is opened again. */
  #cursor: string | undefined;

  constructor(
    client: Tidemark,
    topics: readonly string[],
    options: SubscribeOptions,
    limit: number,
    handle: OnEvent,
  ) {
    this.#client = client;
    this.#topics = topics;
    this.#options = options;
    this.#limit = limit;
    this.#handle = handle;
  }

  view(): EventList {
    this.#trim();
    return { events: [...this.#events], isLive: this.#isLive, gaps: this.#gaps };
  }

  open(hearer: Hearer): () => void {
    const start = this.#cursor === undefined ? {} : { after: this.#cursor };
    // Without a cursor nothing was finished, and the last events come once more.
    if (this.#cursor === undefined) this.#events = [];
    const subscription = this.#client.subscribe(this.#topics, { ...this.#options, ...start });
    let isOpen = true;
    const read = async () => {
      for await (const message of subscription.messages()) {
        if (message.type === 'event') await this.#handle(message.event, message.cursor);
        // What is not finished comes again.
        if (!isOpen) return;
        this.#take(message);
        hearer.changed();
      }
    };
    read().catch(hearer.failed);
    return () => {
      isOpen = false;
      this.#cursor = subscription.cursor ?? this.#cursor;
      subscription.close();
    };
  }

  #take(message: Message): void {
    if (message.type === 'event') {
      this.#events.push(message.event);
      // Cut rarely, so that a catch-up does not copy the list for each event.
      if (this.#events.length > 2 * this.#limit) this.#trim();
    } else if (message.type === 'gap') {
      const { from, to, reason } = message;
      this.#gaps = [...this.#gaps, { from, to, reason }].slice(-LIST_GAPS_MAX);
    } else if (message.type === 'live') {
      this.#isLive = true;
    } else if (message.type === 'reset') {
      this.#events = [];
      this.#isLive = false;
    }
  }

  #trim(): void {
    this.#events.splice(0, this.#events.length - this.#limit);
  }
}
