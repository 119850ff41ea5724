import { JetStreamApiCodes, type JetStreamClient, jetstream } from '@nats-io/jetstream';
import { type MsgHdrs, headers as natsHeaders } from '@nats-io/transport-node';
import {
  type CloudEvent,
  encodeEvent,
  messageId,
  readTraceContext,
  type TraceContext,
  toSubject,
} from '@tidemark/protocol';
import type { NatsLink } from './link.ts';
import { refusalError, toRefusal, unavailable } from './refusals.ts';
import type { RetryBudget } from './retry-budget.ts';
import { readStateWithin } from './state-within.ts';
import type { StoreWatch } from './store-watch.ts';
import { STREAM_NAME } from './stream-state.ts';

const EXPECTED_LAST_HEADER = 'Nats-Expected-Last-Subject-Sequence';
const MESSAGE_ID_HEADER = 'Nats-Msg-Id';
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
  /** Whether the stream had this `source` and `id` already. `sequence` is then that of the first. */
  readonly duplicate: boolean;
}

/**
 * Appends events to the stream. Calls may overlap: they share one connection, on which NATS keeps
 * their order, and each resolves when the stream has stored its event.
 */
export class Appender {
  readonly #link: NatsLink;
  readonly #options: AppenderOptions;
  #stream: JetStreamClient | undefined;
  #pending = 0;

  constructor(link: NatsLink, options: AppenderOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** Appends that wait for their acknowledgement. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * Appends an event. After `unavailable` it may have been stored; a repeat with the same `source` and
   * `id` is safe. An append that the stream cannot decide yet is sent again for as long as there is time.
   *
   * @throws TidemarkError `unavailable` when NATS does not acknowledge in time or cannot store,
   *   `precondition_failed`, or `too_large`
   */
  async append(event: CloudEvent, options: AppendOptions): Promise<Appended> {
    const payload = encodeEvent(event);
    if (!this.#link.connected) throw unavailable('NATS is away.');
    if (this.#pending >= this.#options.pendingMax) {
      throw unavailable(`${this.#pending} events already wait for the stream.`);
    }
    this.#pending++;
    try {
      return await this.#publish(event, payload, options);
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
    return message !== undefined && hasId(message, id);
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
   * @throws TidemarkError `unavailable`
   */
  async findEarlierAppend(
    event: CloudEvent,
    expectedLastSequence: number,
    budget: RetryBudget,
  ): Promise<number | undefined> {
    const next = { seq: expectedLastSequence + 1, next_by_subj: toSubject(event.topic) };
    const message = await requestMessage(this.#link, next, budget);
    return message && hasId(message, messageId(event)) ? message.sequence : undefined;
  }

  /**
   * Whether the server that refused a condition lacks the event that the condition names: it was held up,
   * and does not know yet that another one leads the stream. The topic's last event then seems to be older.
   * Nothing is ever deleted from the middle of the stream, so an event that is not there has expired, or
   * the server does not have it yet. The one server of a stream without replicas has them all.
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
    try {
      const { firstSequence, replicated } = await readStateWithin(this.#link, budget.leftMs);
      return replicated && expected >= firstSequence;
    } catch (error) {
      throw unavailable('The stream cannot be read.', error);
    }
  }

  /** Publishes until the stream has decided. A refused attempt stored nothing, so none is stored twice. */
  async #publish(
    event: CloudEvent,
    payload: Uint8Array,
    options: AppendOptions,
  ): Promise<Appended> {
    const { watch } = this.#options;
    const { budget } = options;
    this.#stream ??= jetstream(this.#link.connection);
    const sentMs = performance.now();
    for (;;) {
      try {
        const { seq, duplicate } = await this.#stream.publish(toSubject(event.topic), payload, {
          headers: headersFor(event, options),
          timeout: budget.leftMs,
          retries: 0,
        });
        watch.noteStored();
        this.#link.knownEnd.noteSequence(seq);
        return { id: messageId(event), sequence: seq, duplicate };
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
}

function hasId({ headers }: RawMessage, id: string): boolean {
  return headers.includes(`\r\n${MESSAGE_ID_HEADER}: ${id}\r\n`);
}

/** The parts of a raw NATS answer that the appender needs. */
interface RawMessage {
  readonly sequence: number;
  readonly subject: string;
  /** The NATS headers as text. */
  readonly headers: string;
}

/**
 * Reads a message from the leader, not by direct get: a follower may lag behind a refused append. A server
 * that knows no leader may answer before the leader does, so an error is asked again.
 *
 * @returns `undefined` where the stream has none
 * @throws TidemarkError `unavailable`
 */
async function requestMessage(
  link: NatsLink,
  request: object,
  budget: RetryBudget,
): Promise<RawMessage | undefined> {
  for (;;) {
    const { message, error } = await requestOnce(link, request, budget);
    const { err_code: code } = Object(error) as { err_code?: unknown };
    // Any other error is no answer. It does not mean that the topic is empty.
    if (code === JetStreamApiCodes.NoMessageFound) return undefined;
    const { seq, subject, hdrs = '' } = Object(message) as Readonly<Record<string, unknown>>;
    if (typeof seq === 'number' && typeof subject === 'string' && typeof hdrs === 'string') {
      return { sequence: seq, subject, headers: Buffer.from(hdrs, 'base64').toString() };
    }
    if (!(await budget.pause())) throw unavailable('The stream cannot be read.', error);
  }
}

interface MessageAnswer {
  readonly message?: unknown;
  readonly error?: unknown;
}

/** @throws TidemarkError `unavailable` */
async function requestOnce(
  { connection, connected }: NatsLink,
  request: object,
  budget: RetryBudget,
): Promise<MessageAnswer> {
  if (!connected) throw unavailable('NATS is away.');
  try {
    const subject = `$JS.API.STREAM.MSG.GET.${STREAM_NAME}`;
    const reply = await connection.request(subject, JSON.stringify(request), {
      timeout: budget.leftMs,
    });
    return Object(reply.json());
  } catch (error) {
    throw unavailable('NATS did not answer in time.', error);
  }
}

function headersFor(event: CloudEvent, options: AppendOptions): MsgHdrs {
  const headers = natsHeaders();
  headers.set(MESSAGE_ID_HEADER, messageId(event));
  headers.set('content-type', CONTENT_TYPE);
  const { traceparent, tracestate } = options.context ?? readTraceContext(event) ?? {};
  if (traceparent !== undefined) headers.set('traceparent', traceparent);
  if (tracestate !== undefined) headers.set('tracestate', tracestate);
  if (options.expectedLastSequence !== undefined) {
    headers.set(EXPECTED_LAST_HEADER, String(options.expectedLastSequence));
  }
  return headers;
}
