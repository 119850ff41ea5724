import { signal } from '@preact/signals';
import type { Message, Status, Subscription, Tidemark } from '@tidemark/client';
import type { CloudEvent } from '../../api/types.ts';
import { openClient } from '../../events/client.ts';
import { sequenceOf } from '../../events/cursors.ts';
import { GatewayPublisher } from '../../events/gateway-publisher.ts';
import { newTraceparent } from '../../events/new-trace.ts';
import { newEventId } from '../../events/random.ts';
import { type Entry, EntryList } from './entry-list.ts';

/** Events that one press publishes, at most. */
export const BURST_MAX = 10;
/** How often the position is looked at, which moves without an event too. */
const LOOK_MS = 250;

/** What the subscriber of a trial may choose. */
export interface TrialChoice {
  readonly topic: string;
  /** Only the newest event of the topic after an absence (PROTOCOL.md section 6.7). */
  readonly latestOnly: boolean;
}

/** A part of the log that did not come. */
export interface Loss {
  readonly text: string;
}

/**
 * A subscriber that can be cut off, and a publisher beside it. To be cut off is to close the client, and with it its
 * WebSocket: nothing of it is left but the cursor, with which a new client comes back. The publisher has a connection of its
 * own, so that events can be stored while the subscriber is away.
 */
export class Trial {
  readonly isOn = signal(false);
  readonly status = signal<Status | undefined>(undefined);
  /** All that is kept while the subscriber is away. */
  readonly position = signal<string | undefined>(undefined);
  readonly entries = signal<readonly Entry[]>([]);
  readonly losses = signal<readonly Loss[]>([]);
  readonly error = signal<unknown>(undefined);
  readonly #choice: TrialChoice;
  readonly #list = new EntryList();
  readonly #publisher = new GatewayPublisher();
  readonly #looking: ReturnType<typeof setInterval>;
  #client: Tidemark | undefined;
  #subscription: Subscription | undefined;
  #isLive = false;
  #number = 0;
  #isDrawing = false;

  constructor(choice: TrialChoice) {
    this.#choice = choice;
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    this.comeBack();
  }

  /** Opens a new client, which subscribes after the position, or to what comes from now on. */
  comeBack(): void {
    if (this.isOn.value) return;
    const { topic, latestOnly } = this.#choice;
    const client = openClient();
    client.on('status', (status) => {
      this.status.value = status;
      // What comes from now on was missed, until the subscription says that it is live again.
      if (status.state !== 'live') this.#isLive = false;
    });
    this.#isLive = false;
    this.error.value = undefined;
    const options = {
      after: this.position.value ?? 'latest',
      ...(latestOnly && { deliver: 'latest' as const }),
    };
    this.#client = client;
    this.#subscription = client.subscribe(topic, options);
    this.isOn.value = true;
    void this.#follow(this.#subscription);
  }

  /** Closes the client and its WebSocket. */
  cut(): void {
    this.#look();
    this.#client?.close();
    this.#client = undefined;
    this.#subscription = undefined;
    this.isOn.value = false;
    this.status.value = undefined;
  }

  /** @throws {ApiError} the first refusal; those before it were stored */
  async publish(count: number): Promise<void> {
    for (let left = Math.min(count, BURST_MAX); left > 0; left--) {
      const number = ++this.#number;
      const traceparent = newTraceparent();
      const event = {
        id: newEventId(),
        type: 'try.tick',
        topic: this.#choice.topic,
        data: { number },
        ...(traceparent && { traceparent }),
      };
      const sentMs = performance.now();
      this.#list.sent(event.id, sentMs);
      const { cursor } = await this.#publisher.publish(event);
      this.#list.stored(cursor, event as unknown as CloudEvent);
      this.#draw();
    }
  }

  close(): void {
    clearInterval(this.#looking);
    this.cut();
    this.#publisher.close();
  }

  async #follow(subscription: Subscription): Promise<void> {
    const isMine = () => this.#subscription === subscription;
    try {
      for await (const message of subscription.messages()) {
        if (!isMine()) return;
        if (message.type === 'live') this.#isLive = true;
        this.#take(message);
        this.#draw();
      }
    } catch (error) {
      if (!isMine()) return;
      this.cut();
      this.error.value = error;
    }
  }

  #take(message: Message): void {
    if (message.type === 'event') {
      const event = message.event as CloudEvent;
      this.#list.came(message.cursor, event, {
        how: this.#isLive ? 'live' : 'catch-up',
        atMs: performance.now(),
      });
    } else if (message.type === 'gap') {
      const { from, to, reason } = message;
      this.losses.value = [...this.losses.value, { text: `${from} to ${to}: ${reason}` }].slice(
        -20,
      );
    }
  }

  /** The position moves past an event when the loop asks for the next one, and with heartbeats. */
  #look(): void {
    const cursor = this.#subscription?.cursor;
    if (cursor !== undefined && sequenceOf(cursor) !== undefined) this.position.value = cursor;
  }

  /** Once a frame, however many events came. */
  #draw(): void {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#look();
      this.entries.value = this.#list.entries();
    });
  }
}
