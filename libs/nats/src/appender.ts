import type { MsgHdrs } from '@nats-io/transport-node';
import {
  asTidemarkError,
  type EncodedEvent,
  type TidemarkError,
  type TraceContext,
  toSubject,
} from '@tidemark/protocol';
import { type AppendClock, PROCESS_CLOCK } from './append-clock.ts';
import { HeaderBlock } from './header-block.ts';
import type { NatsLink } from './link.ts';
import { hasId, MESSAGE_ID_HEADER, Originals, type SentMessage } from './originals.ts';
import { refusalError, toRefusal, unavailable } from './refusals.ts';
import type { RetryBudget } from './retry-budget.ts';
import { SEAL_HEADER } from './seal.ts';
import { readStateWithin } from './state-within.ts';
import type { StoreWatch } from './store-watch.ts';
import { requestMessage, requestNext } from './stream-messages.ts';
import { StreamWriter } from './stream-writer.ts';

const EXPECTED_LAST_HEADER = 'Nats-Expected-Last-Subject-Sequence';
const CONTENT_TYPE = 'application/cloudevents+json';

/** The limits of an appender. */
export interface AppenderOptions {
  /** Most appends that wait for their acknowledgement; a further one gets `unavailable`. */
  readonly pendingMax: number;
  /** Is told how each append ended. */
  readonly watch: StoreWatch;
  /** The process's own if absent. */
  readonly clock?: AppendClock;
}

/** The condition of an append, its time, and the context that travels with it. */
export interface AppendOptions {
  /** The time for all attempts. */
  readonly budget: RetryBudget;
  /** The append succeeds only if this is the topic's last sequence; 0 demands an empty topic. */
  readonly expectedLastSequence?: number;
  /** The trace context of the message's headers; the event's own if absent. */
  readonly context?: TraceContext | undefined;
  /**
   * Called for each event that the stream has stored, in the order of the acknowledgements, with its index. Not for
   * repeats.
   */
  readonly onStored?: (appended: Appended, index: number) => void;
  /** Called when what became of the first attempt of all is known. */
  readonly onAnswered?: () => void;
}

/** Where the stream stored an event, without the epoch. */
export interface Appended {
  /** The message id by which the stream knows the event. */
  readonly id: string;
  readonly sequence: number;
  /** Whether the stream had this event already. `sequence` is then that of the first. */
  readonly duplicate: boolean;
}

/** What became of one of several appends. */
export type AppendOutcome = Appended | TidemarkError;

/**
 * Appends events to the stream. Calls may overlap: they share one connection, on which NATS keeps
 * their order, and each resolves when the stream has stored its event.
 */
export class Appender {
  readonly #link: NatsLink;
  readonly #options: AppenderOptions;
  readonly #originals: Originals;
  readonly #headers = new HeaderBlock();
  #writer: StreamWriter | undefined;
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
   *   when the publisher has stored another event under the topic, source and id, `erased`, or
   *   `precondition_failed`
   */
  async append(event: EncodedEvent, options: AppendOptions): Promise<Appended> {
    const [outcome] = await this.appendAll([event], options);
    if (outcome instanceof Error) throw outcome;
    return outcome as Appended;
  }

  /**
   * Appends events that go out together, in their order. What is true of one append is true of each; none depends on
   * another.
   *
   * @returns what became of each: where the stream stored it, or an error as of `append`
   * @throws TidemarkError `unavailable` where none was sent
   */
  async appendAll(
    events: readonly EncodedEvent[],
    options: AppendOptions,
  ): Promise<readonly AppendOutcome[]> {
    const sent = events.map((event) => this.#toSent(event, options.context));
    if (!this.#link.connected) throw unavailable('NATS is away.');
    if (this.#pending + events.length > this.#options.pendingMax) {
      throw unavailable(`${this.#pending} events already wait for the stream.`);
    }
    this.#pending += events.length;
    try {
      const sentMs = options.budget.nowMs;
      const outcomes = await this.#write(sent, options);
      options.onAnswered?.();
      if (outcomes.every(isStored)) return outcomes;
      return await Promise.all(
        outcomes.map((outcome, index) => {
          if (isStored(outcome)) return outcome;
          return this.#follow(sent[index] as SentAppend, { ...options, index, sentMs }, outcome);
        }),
      );
    } finally {
      this.#pending -= events.length;
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

  /** Sends events, and notes which of them the stream stored. */
  #write(
    sent: readonly SentAppend[],
    { budget, expectedLastSequence, onStored, index: from = 0 }: AppendOptions & { index?: number },
  ): Promise<readonly (Appended | Error)[]> {
    this.#writer ??= new StreamWriter(this.#link, this.#options.clock ?? PROCESS_CLOCK);
    return this.#writer.write(sent, {
      timeoutMs: budget.leftMs,
      headersOf: (message) => this.#headersFor(message, expectedLastSequence),
      toStored: ({ sequence, duplicate }, index) => {
        this.#options.watch.noteStored();
        this.#link.knownEnd.noteSequence(sequence);
        const appended = { id: (sent[index] as SentAppend).id, sequence, duplicate };
        if (!duplicate) onStored?.(appended, from + index);
        return appended;
      },
    });
  }

  /**
   * Sends an event until the stream has decided, and has it and no other one in its place. A refused attempt stored
   * nothing, so none is stored twice.
   *
   * @param first what became of the first attempt
   */
  async #follow(
    sent: SentAppend,
    options: AppendOptions & { readonly index: number; readonly sentMs: number },
    first: Appended | Error,
  ): Promise<AppendOutcome> {
    const budget = options.budget.fork();
    try {
      for (let outcome = first; ; ) {
        if (outcome instanceof Error) await this.#requireUndecided(outcome, budget, options.sentMs);
        else if (await this.#isFirst(sent, outcome, budget)) return outcome;
        const [next] = await this.#write([sent], { ...options, budget });
        outcome = next as Appended | Error;
      }
    } catch (error) {
      return asTidemarkError(error);
    }
  }

  /**
   * Pauses before the next attempt of an append that the stream could not decide yet.
   *
   * @throws TidemarkError where the stream has refused it, or no time is left
   */
  async #requireUndecided(error: Error, budget: RetryBudget, sentMs: number): Promise<void> {
    const { watch } = this.#options;
    const refusal = toRefusal(error);
    if (refusal === 'in_process' && (await budget.pause())) return;
    watch.noteRefused(refusal, sentMs);
    // What the watch has found out says more than silence, or than a stream without a leader.
    const isVague = refusal === 'silent' || refusal === 'offline';
    throw refusalError(isVague ? (watch.fault ?? refusal) : refusal, error);
  }

  /** Whether an append is stored, or its original where it is a repeat; where it is neither, it pauses. */
  async #isFirst(sent: SentAppend, appended: Appended, budget: RetryBudget): Promise<boolean> {
    if (!appended.duplicate) return true;
    if (await this.#originals.check(sent, appended.sequence, budget)) return true;
    if (!(await budget.pause())) throw refusalError('in_process');
    return false;
  }

  #headersFor({ id, subject, payload, trace }: SentAppend, expected?: number): MsgHdrs {
    const headers = this.#headers.begin();
    headers.add(MESSAGE_ID_HEADER, id);
    headers.add(SEAL_HEADER, this.#link.seal.sign({ subject, payload }));
    headers.add('content-type', CONTENT_TYPE);
    if (trace) headers.add('traceparent', trace.traceparent);
    if (trace?.tracestate !== undefined) headers.add('tracestate', trace.tracestate);
    if (expected !== undefined) headers.add(EXPECTED_LAST_HEADER, String(expected));
    return headers;
  }

  /** @throws TidemarkError `unavailable` while the key of the stream is not known */
  #toSent(event: EncodedEvent, trace = event.trace): SentAppend {
    const { seal } = this.#link;
    if (!seal.known) throw unavailable('The stream does not exist yet.');
    const { topic, publisher = '', json } = event;
    const subject = toSubject(topic);
    return { publisher, id: seal.messageId(event), subject, payload: json, trace };
  }
}

/** An append with the trace context of its headers. */
interface SentAppend extends SentMessage {
  readonly trace: TraceContext | undefined;
}

/** Whether an attempt leaves nothing to find out. */
function isStored(outcome: Appended | Error): outcome is Appended {
  return !(outcome instanceof Error) && !outcome.duplicate;
}
