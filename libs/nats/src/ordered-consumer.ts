import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  jetstreamManager,
  ReplayPolicy,
} from '@nats-io/jetstream';
import type { Msg, Subscription } from '@nats-io/transport-node';
import type { NatsLink } from './link.ts';
import { type Delivery, type LogRecord, parseDelivery, toRecord } from './records.ts';
import { STREAM_NAME } from './stream.ts';

const NANOSECONDS_PER_MS = 1_000_000;

/** The server speaks at least this often; twice the time without a word means that it is gone. */
export const CONSUMER_HEARTBEAT_MS = 2000;

const STALLED_HEADER = 'Nats-Consumer-Stalled';

/**
 * Decides when messages are worked on; without one that is when they arrive. Node reads a busy
 * socket up to 32 times before it does anything else, which is some 5,000 messages: a process that
 * must not be away for longer than a few milliseconds takes them in slices.
 */
export interface Pace {
  nowMs(): number;
  /** Calls `run` soon; again for as long as it returns true. */
  wake(task: PacedTask): void;
}

export interface PacedTask {
  /** Works until the deadline, on the clock of `Pace`. @returns whether there is more to do */
  run(deadlineMs: number): boolean;
}

/** Messages between two looks at the clock. */
const MESSAGES_PER_CLOCK = 32;

export type ConsumerStart = { readonly after: number } | { readonly timeMs: number };

export interface ConsumerOptions {
  /** The events stream if absent. */
  readonly stream?: string;
  readonly start: ConsumerStart;
  /** NATS subjects; all events where none is given. Several need a server of 2.10 or newer. */
  readonly subjects?: readonly string[];
  readonly timeoutMs: number;
  readonly pace?: Pace;
  readonly onRecord: (record: LogRecord, delivery: Delivery) => void;
  /** The order is broken or the server is silent: nothing more will come. Called once. */
  readonly onLost: (reason: string) => void;
}

/**
 * One ephemeral push consumer without acknowledgements, read in order. It lives in the server's
 * memory and disappears with its subscription. It does not repair itself: who owns it starts
 * another one at the place where it stands (see `Feed`).
 */
export class OrderedConsumer implements PacedTask {
  readonly #link: NatsLink;
  readonly #options: ConsumerOptions;
  #subscription: Subscription | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #delivered = 0;
  #heard = true;
  /** Arrived and not worked on. Flow control bounds it: its requests wait in here too. */
  #waiting: Msg[] = [];

  constructor(link: NatsLink, options: ConsumerOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** @returns how many messages match and are there already */
  async open(): Promise<number> {
    const { connection } = this.#link;
    const inbox = this.#link.createInbox();
    this.#subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error) this.#lose(error.message);
        else this.#arrive(message);
      },
    });
    try {
      const { timeoutMs, stream = STREAM_NAME } = this.#options;
      const { consumers } = await jetstreamManager(connection, {
        timeout: timeoutMs,
        checkAPI: false,
      });
      const { num_pending, delivered } = await consumers.add(stream, this.#config(inbox));
      this.#watchdog = setInterval(() => this.#watch(), CONSUMER_HEARTBEAT_MS * 2);
      return num_pending + delivered.consumer_seq;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    clearInterval(this.#watchdog);
    const subscription = this.#subscription;
    this.#subscription = undefined;
    this.#waiting = [];
    if (subscription && !subscription.isClosed()) subscription.unsubscribe();
  }

  run(deadlineMs: number): boolean {
    const { pace } = this.#options;
    const messages = this.#waiting;
    let next = 0;
    for (const message of messages) {
      next++;
      this.#receive(message);
      if (next % MESSAGES_PER_CLOCK === 0 && pace && pace.nowMs() >= deadlineMs) break;
    }
    // Nothing is added meanwhile, but the consumer may have been closed.
    if (this.#waiting === messages) this.#waiting = messages.slice(next);
    return this.#waiting.length > 0;
  }

  #arrive(message: Msg): void {
    this.#heard = true;
    const { pace } = this.#options;
    if (!pace) {
      this.#receive(message);
      return;
    }
    this.#waiting.push(message);
    pace.wake(this);
  }

  #config(inbox: string): Partial<ConsumerConfig> {
    const { start, subjects = [] } = this.#options;
    return {
      deliver_subject: inbox,
      ack_policy: AckPolicy.None,
      replay_policy: ReplayPolicy.Instant,
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: CONSUMER_HEARTBEAT_MS * NANOSECONDS_PER_MS,
      mem_storage: true,
      num_replicas: 1,
      ...('after' in start
        ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: start.after + 1 }
        : {
            deliver_policy: DeliverPolicy.StartTime,
            opt_start_time: new Date(start.timeMs).toISOString(),
          }),
      ...(subjects.length === 1 && subjects[0] !== undefined && { filter_subject: subjects[0] }),
      ...(subjects.length > 1 && { filter_subjects: [...subjects] }),
    };
  }

  #receive(message: Msg): void {
    // A message that was on its way when this consumer was closed.
    if (!this.#subscription) return;
    if (message.data.length === 0 && message.headers && message.headers.code !== 0) {
      this.#control(message);
      return;
    }
    if (!message.reply) return;
    const delivery = parseDelivery(message.reply);
    if (delivery.consumerSequence !== this.#delivered + 1) {
      this.#lose(`message ${this.#delivered + 1} of the consumer did not arrive`);
      return;
    }
    this.#delivered++;
    this.#options.onRecord(toRecord(message, delivery), delivery);
  }

  /** Flow control and heartbeats (status 100); everything else ends the consumer. */
  #control(message: Msg): void {
    if (message.headers?.code !== 100) {
      this.#lose(`the consumer ended: ${message.headers?.description}`);
      return;
    }
    if (message.reply) {
      message.respond();
      return;
    }
    const stalled = message.headers.get(STALLED_HEADER);
    if (stalled) this.#link.connection.publish(stalled);
    const delivered = Number(message.headers.get('Nats-Last-Consumer') || this.#delivered);
    if (delivered > this.#delivered) {
      this.#lose(`messages up to ${delivered} of the consumer did not arrive`);
    }
  }

  #watch(): void {
    if (!this.#heard) this.#lose('no heartbeat of the consumer');
    this.#heard = false;
  }

  #lose(reason: string): void {
    if (!this.#subscription) return;
    this.close();
    this.#options.onLost(reason);
  }
}
