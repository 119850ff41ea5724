import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  jetstreamManager,
  ReplayPolicy,
} from '@nats-io/jetstream';
import type { Msg, Subscription } from '@nats-io/transport-node';
import type { SequenceRange } from '@tidemark/protocol';
import { deliveryOf, recordOf, subjectOf } from './delivered-message.ts';
import type { NatsLink } from './link.ts';
import type { Delivery, LogRecord } from './records.ts';
import type { Backlog, Scheduler } from './scheduler.ts';
import { STREAM_NAME } from './stream-state.ts';

const NANOSECONDS_PER_MS = 1_000_000;

/** The server sends something at least this often. Silence for twice as long means that it is gone. */
export const CONSUMER_HEARTBEAT_MS = 2000;

/**
 * Messages of one request. Two requests are open at a time, so that the second is delivered while the
 * first is processed. Together they bound the backlog, however far behind the reader is. With a push
 * consumer and the server's flow control the backlog reached 32 MiB: 56,000 small messages, whose garbage
 * collection took a fifth of the gateway's time.
 */
const REQUEST_MESSAGES = 1024;

/**
 * Bytes of one request. The server silently ends a request whose bytes are used up exactly, even if
 * messages of it are left. Messages of one size would cause that often, so this is a prime.
 */
const REQUEST_BYTES = 4 * 1024 * 1024 - 3;

/** Long, because each expiry costs a message. Heartbeats show that a request is still open. */
const REQUEST_EXPIRES_MS = 24 * 60 * 60 * 1000;

/** How long the server keeps a consumer that sends no further requests. */
export const INACTIVE_MS = 5000;

/** The same for a consumer with a scheduler, where messages may wait for as long as a fan-out takes. */
const INACTIVE_SCHEDULED_MS = 60_000;

/** The header of a request that ends early: how many of its messages will not come. */
const UNFILLED_HEADER = 'Nats-Pending-Messages';

/** Messages that are processed between two looks at the clock. */
const MESSAGES_PER_CLOCK = 32;

/** Where a consumer begins: after a sequence, or at a time in milliseconds since 1970. */
export type ConsumerStart = { readonly after: number } | { readonly timeMs: number };

/** What a consumer reads, and who receives it. */
export interface ConsumerOptions {
  /** The events stream if absent. */
  readonly stream?: string;
  readonly start: ConsumerStart;
  /** NATS subjects; all events if absent. */
  readonly subjects?: readonly string[];
  /** How long the creation of the consumer may take. */
  readonly timeoutMs: number;
  readonly scheduler?: Scheduler;
  /** Whether it reads a part of the stream and is closed soon: the server then forgets it sooner. */
  readonly isBrief?: boolean;
  readonly onRecord: (record: LogRecord, delivery: Delivery) => void;
  /**
   * Judges sequences that the consumer has passed over. Without it nobody asks. With it the consumer goes on when
   * it is known of a hole whether it was erased, and `onErased` is told. All other holes were left by retention.
   */
  readonly holes?: {
    readonly judge: (hole: SequenceRange) => Promise<HoleVerdict>;
    readonly onErased: (hole: SequenceRange) => void;
  };
  /**
   * Called once when messages were lost, the server is silent, or `onRecord` threw on arrival of a message.
   * Nothing more will come. With a scheduler, what `onRecord` throws goes to the scheduler.
   */
  readonly onLost: (reason: string) => void;
}

/** What was found out about a hole, and so about some of those behind it. */
export interface HoleVerdict {
  /** A hole behind this sequence was erased: the stream still has an older message, and retention removes the oldest. */
  readonly firstSequence: number;
  /** Whether that tells of all holes before messages that had arrived when it was asked. */
  readonly forArrived: boolean;
}

/**
 * One ephemeral pull consumer without acknowledgements, which delivers in order. It lives in the server's
 * memory and disappears when nobody sends requests. It does not repair itself. Its owner starts another
 * one after the last sequence that arrived (see `Feed`).
 */
export class OrderedConsumer implements Backlog {
  readonly #link: NatsLink;
  readonly #options: ConsumerOptions;
  #subscription: Subscription | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #inbox = '';
  #name = '';
  readonly #after: number;
  /** The sequence of the last message; `undefined` before the first one of a start at a time. */
  #last: number | undefined;
  /** What is known of the holes before a sequence. */
  #judged = { firstSequence: Number.POSITIVE_INFINITY, before: 0 };
  /** Whether it waits for the verdict about a hole. */
  #held = false;
  #delivered = 0;
  /** Messages that were requested and not processed yet. */
  #requested = 0;
  #heard = true;
  /** Messages that have arrived and not been processed: a part of the requested ones. */
  #waiting: Msg[] = [];

  constructor(link: NatsLink, options: ConsumerOptions) {
    this.#link = link;
    this.#options = options;
    const { start } = options;
    this.#after = 'after' in start ? start.after : 0;
    this.#last = 'after' in start ? start.after : undefined;
  }

  /**
   * Creates the consumer and sends the first requests.
   *
   * @returns how many matching messages the stream holds already
   * @throws Error when NATS does not answer in time, or when it is closed meanwhile
   */
  async open(): Promise<number> {
    const { connection } = this.#link;
    this.#inbox = this.#link.createInbox();
    this.#subscription = this.#link.subscribe(this.#inbox, {
      onMessage: (message) => this.#arrive(message),
      onEnded: ({ message }) => this.#lose(message),
      onFault: (error) => this.#lose(`a message was not processed: ${error}`),
    });
    try {
      const { timeoutMs, stream = STREAM_NAME } = this.#options;
      const { consumers } = await jetstreamManager(connection, {
        timeout: timeoutMs,
        checkAPI: false,
        apiPrefix: this.#link.apiPrefix,
      });
      const { name, num_pending } = await consumers.add(stream, this.#config());
      if (!this.#subscription) throw new Error('The consumer was closed while it opened.');
      this.#name = name;
      this.#watchdog = setInterval(() => this.#watch(), CONSUMER_HEARTBEAT_MS * 2);
      this.#request();
      return num_pending;
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
    if (this.#held) return false;
    const { scheduler } = this.#options;
    const messages = this.#waiting;
    // The server is silent while no request is open. Its time begins with the next request.
    this.#heard = true;
    let next = 0;
    for (const message of messages) {
      if (!this.#receive(message)) break;
      next++;
      if (next % MESSAGES_PER_CLOCK === 0 && scheduler && scheduler.nowMs() >= deadlineMs) break;
    }
    // No message arrives during the loop, but the consumer may have been closed.
    if (this.#waiting === messages) this.#waiting = messages.slice(next);
    return this.#waiting.length > 0 && !this.#held;
  }

  #arrive(message: Msg): void {
    this.#heard = true;
    const { scheduler } = this.#options;
    if (!scheduler && !this.#held && this.#receive(message)) return;
    this.#waiting.push(message);
    if (!this.#held) scheduler?.schedule(this);
  }

  /** Waits for the verdict about a hole. Meanwhile all that arrives waits, and that is bounded by the requests. */
  async #hold(hole: SequenceRange): Promise<void> {
    this.#held = true;
    const arrived = this.#lastArrived() ?? hole.to + 1;
    let verdict: HoleVerdict | undefined;
    try {
      verdict = await this.#options.holes?.judge(hole);
    } catch (error) {
      this.#lose(`why the stream lacks ${hole.from} was not found out: ${error}`);
    }
    if (!verdict || !this.#subscription) return;
    const { firstSequence, forArrived } = verdict;
    this.#judged = { firstSequence, before: forArrived ? arrived : hole.to + 1 };
    this.#held = false;
    this.#goOn();
  }

  /** Goes on with what has arrived meanwhile. */
  #goOn(): void {
    const { scheduler } = this.#options;
    try {
      if (scheduler) scheduler.schedule(this);
      else this.run(Number.POSITIVE_INFINITY);
    } catch (error) {
      this.#lose(`a message was not processed: ${error}`);
    }
  }

  #lastArrived(): number | undefined {
    const last = this.#waiting.findLast(({ subject, reply }) => reply && subject !== this.#inbox);
    return last && deliveryOf(last)?.streamSequence;
  }

  /** @returns false where the consumer must wait until it is known why the stream has no messages there */
  #passHole(sequence: number): boolean {
    const { holes } = this.#options;
    if (!holes || this.#last === undefined || sequence <= this.#last + 1) return true;
    const hole = { from: this.#last + 1, to: sequence - 1 };
    const { before, firstSequence } = this.#judged;
    if (sequence > before) {
      void this.#hold(hole);
      return false;
    }
    if (firstSequence < hole.from) holes.onErased(hole);
    return true;
  }

  /** Sends a further request as soon as one has been processed. */
  #request(): void {
    const { connection } = this.#link;
    const { stream = STREAM_NAME } = this.#options;
    // The server never delivers a message that is larger than the request.
    const messageBytesMax = 2 * (connection.info?.max_payload ?? 0);
    const bytesMax = Math.max(1, Math.ceil(messageBytesMax / REQUEST_BYTES)) * REQUEST_BYTES;
    const request = JSON.stringify({
      batch: REQUEST_MESSAGES,
      max_bytes: bytesMax,
      expires: REQUEST_EXPIRES_MS * NANOSECONDS_PER_MS,
      idle_heartbeat: CONSUMER_HEARTBEAT_MS * NANOSECONDS_PER_MS,
    });
    for (; this.#requested <= REQUEST_MESSAGES; this.#requested += REQUEST_MESSAGES) {
      const subject = this.#link.apiSubject(`CONSUMER.MSG.NEXT.${stream}.${this.#name}`);
      connection.publish(subject, request, { reply: this.#inbox });
    }
  }

  #config(): Partial<ConsumerConfig> {
    const { start, subjects = [], scheduler, isBrief } = this.#options;
    const inactiveMs = scheduler && !isBrief ? INACTIVE_SCHEDULED_MS : INACTIVE_MS;
    return {
      ack_policy: AckPolicy.None,
      replay_policy: ReplayPolicy.Instant,
      max_deliver: 1,
      inactive_threshold: inactiveMs * NANOSECONDS_PER_MS,
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

  /** @returns false where it must be received again later */
  #receive(message: Msg): boolean {
    // The message was on its way when this consumer was closed.
    if (!this.#subscription) return true;
    // Headers do not tell: those of a message in the stream can look the same.
    const subject = subjectOf(message);
    if (subject.text === this.#inbox) {
      this.#control(message);
      return true;
    }
    const delivery = deliveryOf(message);
    if (!delivery) return true;
    if (delivery.consumerSequence !== this.#delivered + 1) {
      this.#lose(`message ${this.#delivered + 1} of the consumer did not arrive`);
      return true;
    }
    const { streamSequence: sequence } = delivery;
    if (!this.#passHole(sequence)) return false;
    this.#last = sequence;
    this.#delivered++;
    this.#requested--;
    // A copy of the stream that lags begins at its own end where that comes before the start.
    if (sequence > this.#after) {
      this.#options.onRecord(recordOf(message, subject, delivery, this.#link.seal), delivery);
    }
    if (this.#subscription && this.#requested <= REQUEST_MESSAGES) this.#request();
    return true;
  }

  /** Receives heartbeats, and the end of requests that were not filled. Any other status is a loss. */
  #control({ headers }: Msg): void {
    if (headers?.code !== 100) {
      const unfilled = headers?.get(UNFILLED_HEADER);
      if (!unfilled) {
        this.#lose(`the consumer ended: ${headers?.code} ${headers?.description}`);
        return;
      }
      this.#requested -= Number(unfilled);
      this.#request();
      return;
    }
    const delivered = Number(headers.get('Nats-Last-Consumer') || this.#delivered);
    if (delivered > this.#delivered) {
      this.#lose(`messages up to ${delivered} of the consumer did not arrive`);
    }
  }

  #watch(): void {
    // No request is open while all requested messages wait in the backlog.
    if (!this.#heard && this.#waiting.length === 0) this.#lose('no heartbeat of the consumer');
    this.#heard = false;
  }

  #lose(reason: string): void {
    if (!this.#subscription) return;
    this.close();
    this.#options.onLost(reason);
  }
}
