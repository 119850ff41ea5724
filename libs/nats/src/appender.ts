import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import { type MsgHdrs, headers as natsHeaders } from '@nats-io/transport-node';
import { type EncodedEvent, type TraceContext, toSubject } from '@tidemark/protocol';
import type { NatsLink } from './link.ts';
import { hasId, MESSAGE_ID_HEADER, Originals, type SentMessage } from './originals.ts';
import { refusalError, toRefusal, unavailable } from './refusals.ts';
import type { RetryBudget } from './retry-budget.ts';
import { SEAL_HEADER } from './seal.ts';
import { readStateWithin } from './state-within.ts';
import type { StoreWatch } from './store-watch.ts';
import { requestMessage, requestNext } from './stream-messages.ts';

const EXPECTED_LAST_HEADER = 'Nats-Expected-Last-Subject-Sequence';
const CONTENT_TYPE = 'application/cloudevents+json';

/** The limits of an appender. */
export interface AppenderOptions {
  /** Most appends that wait for their acknowledgement; a further one gets `unavailable`. */
  readonly pendingMax: number;
  /** Is told how each append ended. */
  readonly watch: StoreWatch;
}

/** The condition of an append, its time, and the context that travels with it. */
export interface AppendOptions {
  /** The time for all attempts. */
  readonly budget: RetryBudget;
  /** The append succeeds only if this is the topic's last sequence; 0 demands an empty topic. */
  readonly expectedLastSequence?: number;
  /** The trace context of the message's headers; the event's own if absent. */
  readonly context?: TraceContext | undefined;
}

/** Where the stream stored an event, without the epoch. */
export interface Appended {
  /** The message id by which the stream knows the event. */
  readonly id: string;
  readonly sequence: number;
  /** Whether the stream had this event already. `sequence` is then that of the first. */
  readonly duplicate: boolean;
}

/**
 * Appends events to the stream. Calls may overlap: they share one connection, on which NATS keeps
 * their order, and each resolves when the stream has stored its event.
 */
export class Appender {
  readonly #link: NatsLink;
  readonly #options: AppenderOptions;
  readonly #originals: Originals;
  #stream: JetStreamClient | undefined;
  #pending = 0;

  constructor(link: NatsLink, options: AppenderOptions) {
    this.#link = link;
    this.#options = options;
    this.#originals = new Originals(link);
  }

  /** Appends that wait for their acknowledgement. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * Appends an event. After `unavailable` it may have been stored; a repeat with the same `source` and
   * `id` is safe. An append that the stream cannot decide yet is sent again for as long as there is time.
   * One that the stream takes for a repeat is compared with the original.
   *
   * @throws TidemarkError `unavailable` when NATS does not acknowledge in time or cannot store, `conflict`
   *   when the publisher has stored another event under the topic, source and id, `erased`,
   *   `precondition_failed`, or `too_large`
   */
  async append(event: EncodedEvent, options: AppendOptions): Promise<Appended> {
    const sent = this.#toSent(event);
    if (!this.#link.connected) throw unavailable('NATS is away.');
    if (this.#pending >= this.#options.pendingMax) {
      throw unavailable(`${this.#pending} events already wait for the stream.`);
    }
    this.#pending++;
    try {
      return await this.#publishOnce(event, sent, options);
    } finally {
      this.#pending--;
    }
  }

  /**
   * Whether the stream has this append.
   *
   * @throws TidemarkError `unavailable`
   */
  async isStored({ sequence, id }: Appended, budget: RetryBudget): Promise<boolean> {
    const message = await requestMessage(this.#link, { seq: sequence }, budget);
    if (message) return hasId(message, id);
    // An event that was erased is no loss: the stream goes on behind it.
    return (await requestNext(this.#link, sequence, budget)) !== undefined;
  }

  /**
   * The sequence of the topic's last event that the stream holds; 0 when it holds none.
   *
   * @throws TidemarkError `unavailable`
   */
  async lastSequence(topic: string, budget: RetryBudget): Promise<number> {
    const message = await requestMessage(this.#link, { last_by_subj: toSubject(topic) }, budget);
    return message?.sequence ?? 0;
  }

  /**
   * The sequence of an event whose conditional append was refused, if an earlier attempt stored it.
   * NATS checks the condition before it looks for duplicates, so a repeat of a successful append fails.
   * The event of that append is then the topic's next one after the sequence in the condition.
   *
   * @returns `undefined` where no earlier attempt stored it
   *
   * @throws TidemarkError `unavailable`, or `conflict` when that attempt had other content
   */
  async findEarlierAppend(
    event: EncodedEvent,
    expectedLastSequence: number,
    budget: RetryBudget,
  ): Promise<number | undefined> {
    const sent = this.#toSent(event);
    const next = { seq: expectedLastSequence + 1, next_by_subj: sent.subject };
    const message = await requestMessage(this.#link, next, budget);
    if (!message || !hasId(message, sent.id)) return undefined;
    this.#originals.requireSame(message, sent);
    return message.sequence;
  }

  /**
   * Whether the server that refused a condition lacks the event that the condition names: it was held up,
   * and does not know yet that another one leads the stream. The topic's last event then seems to be older.
   * An event that is not there was erased, has expired, or the server does not have it yet. Only in the last case
   * has it nothing behind it. The one server of a stream without replicas has them all.
   *
   * @param found the topic's last sequence, as the server gave it
   * @throws TidemarkError `unavailable`
   */
  async isBehind(
    topic: string,
    { expected, found }: { readonly expected: number; readonly found: number },
    budget: RetryBudget,
  ): Promise<boolean> {
    if (found > expected) return false;
    const named = await requestMessage(this.#link, { seq: expected }, budget);
    if (named) return named.subject === toSubject(topic);
    if (await requestNext(this.#link, expected, budget)) return false;
    try {
      const { firstSequence, replicated } = await readStateWithin(this.#link, budget.leftMs);
      return replicated && expected >= firstSequence;
    } catch (error) {
      throw unavailable('The stream cannot be read.', error);
    }
  }

  /** Publishes until the stream has the event, and no other one in its place. */
  async #publishOnce(
    event: EncodedEvent,
    sent: SentMessage,
    options: AppendOptions,
  ): Promise<Appended> {
    const { budget } = options;
    for (;;) {
      const appended = await this.#publish(event, sent, options);
      if (!appended.duplicate) return appended;
      if (await this.#originals.check(sent, appended.sequence, budget)) return appended;
      if (!(await budget.pause())) throw refusalError('in_process');
    }
  }

  /** Publishes until the stream has decided. A refused attempt stored nothing, so none is stored twice. */
  async #publish(
    event: EncodedEvent,
    sent: SentMessage,
    options: AppendOptions,
  ): Promise<Appended> {
    const { watch } = this.#options;
    const { budget } = options;
    const { id, subject, payload } = sent;
    this.#stream ??= jetstream(this.#link.connection);
    const sentMs = budget.nowMs;
    for (;;) {
      try {
        const { seq, duplicate } = await this.#stream.publish(subject, payload, {
          headers: this.#headersFor(event, sent, options),
          timeout: budget.leftMs,
          retries: 0,
        });
        watch.noteStored();
        this.#link.knownEnd.noteSequence(seq);
        return { id, sequence: seq, duplicate };
      } catch (error) {
        const refusal = toRefusal(error);
        if (refusal === 'in_process' && (await budget.pause())) continue;
        watch.noteRefused(refusal, sentMs);
        // What the watch has found out says more than silence, or than a stream without a leader.
        const isVague = refusal === 'silent' || refusal === 'offline';
        throw refusalError(isVague ? (watch.fault ?? refusal) : refusal, error);
      }
    }
  }

  #headersFor(event: EncodedEvent, sent: SentMessage, options: AppendOptions): MsgHdrs {
    const headers = natsHeaders();
    headers.set(MESSAGE_ID_HEADER, sent.id);
    headers.set(SEAL_HEADER, this.#link.seal.sign(sent));
    headers.set('content-type', CONTENT_TYPE);
    const { traceparent, tracestate } = options.context ?? event.trace ?? {};
    if (traceparent !== undefined) headers.set('traceparent', traceparent);
    if (tracestate !== undefined) headers.set('tracestate', tracestate);
    if (options.expectedLastSequence !== undefined) {
      headers.set(EXPECTED_LAST_HEADER, String(options.expectedLastSequence));
    }
    return headers;
  }

  /** @throws TidemarkError `unavailable` while the key of the stream is not known */
  #toSent(event: EncodedEvent): SentMessage {
    const { seal } = this.#link;
    if (!seal.known) throw unavailable('The stream does not exist yet.');
    const { topic, publisher = '', json } = event;
    return { publisher, id: seal.messageId(event), subject: toSubject(topic), payload: json };
  }
}
