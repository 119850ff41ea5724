import { type ApiError, JetStreamApiError } from '@nats-io/jetstream';
import { type Msg, type MsgHdrs, NoRespondersError } from '@nats-io/transport-node';
import type { AppendClock } from './append-clock.ts';
import type { NatsLink } from './link.ts';

/** How often writes that ran out of time are looked for, and so how much later they may be told. */
const SWEEP_MS = 25;

/** What nats-server acknowledges an event with. Anything else is parsed. */
const ACKNOWLEDGED = /^\{"stream":"[^"\\]*", ?"seq":([1-9]\d{0,14})\}$/;

/** A message to write. */
export interface OutgoingMessage {
  readonly subject: string;
  readonly payload: Uint8Array;
}

/** Where the stream stored a message. */
export interface Acknowledgement {
  readonly sequence: number;
  /** Whether the stream had a message with this id already. `sequence` is then that of the first. */
  readonly duplicate: boolean;
}

/** How messages are written. */
export interface WriteOptions<M, S> {
  readonly timeoutMs: number;
  /** The headers of a message, which are only looked at before the next call. */
  readonly headersOf: (message: M) => MsgHdrs;
  /** What `write` returns for a message. It is called in the order in which the acknowledgements come. */
  readonly toStored: (acknowledgement: Acknowledgement, index: number) => S;
}

/** The messages of one call of `write`. */
interface Writing {
  readonly messages: readonly OutgoingMessage[];
  /** The reply subject of the first message has this number, and the others follow. */
  readonly first: number;
  readonly deadlineMs: number;
  /** Called once for each message. */
  readonly onAnswer: (index: number, answer: Acknowledgement | Error) => void;
  open: number;
}

/**
 * Writes messages to the stream, each of which is acknowledged. It is what the JetStream client does with a promise, a
 * timer, a header object and a request for each message; here these are for each call, because calls have hundreds. All
 * acknowledgements come to one subscription, by the number in their subject. What is written in one turn of the loop
 * goes out together.
 */
export class StreamWriter {
  readonly #link: NatsLink;
  readonly #clock: AppendClock;
  readonly #byNumber = new Map<number, Writing>();
  readonly #writings = new Set<Writing>();
  #inbox: string | undefined;
  #numbers = 0;
  #sweeping = false;

  constructor(link: NatsLink, clock: AppendClock) {
    this.#link = link;
    this.#clock = clock;
    link.onPublishRefused((subject, error) => this.#failAll(error, subject));
  }

  /**
   * Writes messages, in their order.
   *
   * @returns what became of each, once all are known: an error for one that was refused, or not acknowledged in time
   * @throws TidemarkError `unavailable` before the first connection
   */
  write<M extends OutgoingMessage, S>(
    messages: readonly M[],
    { timeoutMs, headersOf, toStored }: WriteOptions<M, S>,
  ): Promise<readonly (S | Error)[]> {
    if (messages.length === 0) return Promise.resolve([]);
    const inbox = this.#subscribed();
    const { connection } = this.#link;
    return new Promise((resolve) => {
      const outcomes = new Array<S | Error>(messages.length);
      const writing: Writing = {
        messages,
        first: this.#numbers,
        deadlineMs: this.#clock.nowMs() + timeoutMs,
        onAnswer: (index, answer) => {
          outcomes[index] = answer instanceof Error ? answer : toStored(answer, index);
          if (writing.open === 0) resolve(outcomes);
        },
        open: messages.length,
      };
      this.#numbers += messages.length;
      this.#writings.add(writing);
      for (let index = 0; index < messages.length; index++) {
        const message = messages[index] as M;
        const number = writing.first + index;
        this.#byNumber.set(number, writing);
        try {
          connection.publish(message.subject, message.payload, {
            headers: headersOf(message),
            reply: `${inbox}${number}`,
          });
        } catch (error) {
          this.#answer(number, error as Error);
        }
      }
      void this.#sweep();
    });
  }

  /** @returns what the reply subjects begin with */
  #subscribed(): string {
    if (this.#inbox !== undefined) return this.#inbox;
    const inbox = `${this.#link.createInbox()}.`;
    this.#link.subscribe(`${inbox}*`, {
      onMessage: (message) => {
        this.#answer(Number(message.subject.slice(inbox.length)), toAnswer(message));
      },
      onEnded: (error) => {
        this.#inbox = undefined;
        this.#failAll(error);
      },
    });
    void this.#link.connection.closed().then((error) => {
      this.#failAll(error ?? new Error('The connection is closed.'));
    });
    this.#inbox = inbox;
    return inbox;
  }

  /** An answer to a message that is not waited for any more is late, or a second one. */
  #answer(number: number, answer: Acknowledgement | Error): void {
    const writing = this.#byNumber.get(number);
    if (!writing) return;
    this.#byNumber.delete(number);
    if (--writing.open === 0) this.#writings.delete(writing);
    writing.onAnswer(number - writing.first, answer);
  }

  /** One timer for all, for as long as something waits. */
  async #sweep(): Promise<void> {
    if (this.#sweeping) return;
    this.#sweeping = true;
    while (this.#writings.size > 0) {
      await this.#clock.pause(SWEEP_MS);
      const nowMs = this.#clock.nowMs();
      for (const writing of this.#writings) {
        if (writing.deadlineMs <= nowMs) this.#fail(writing, new Error('No answer in time.'));
      }
    }
    this.#sweeping = false;
  }

  #failAll(error: Error, subject?: string): void {
    for (const writing of this.#writings) this.#fail(writing, error, subject);
  }

  /** Fails what is open of a call, or its messages to one subject. */
  #fail({ first, messages }: Writing, error: Error, subject?: string): void {
    for (let index = 0; index < messages.length; index++) {
      if (subject === undefined || messages[index]?.subject === subject) {
        this.#answer(first + index, error);
      }
    }
  }
}

function toAnswer(message: Msg): Acknowledgement | Error {
  const { data } = message;
  if (data.length === 0 && message.headers?.code === 503) {
    return new NoRespondersError(message.subject);
  }
  const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString();
  const sequence = ACKNOWLEDGED.exec(text)?.[1];
  return sequence === undefined
    ? parseAnswer(text)
    : { sequence: Number(sequence), duplicate: false };
}

function parseAnswer(text: string): Acknowledgement | Error {
  try {
    const { error, seq, duplicate } = Object(JSON.parse(text)) as Readonly<Record<string, unknown>>;
    if (typeof error === 'object' && error !== null)
      return new JetStreamApiError(error as ApiError);
    if (typeof seq === 'number' && seq > 0) return { sequence: seq, duplicate: duplicate === true };
    return new Error('The answer of NATS is no acknowledgement.');
  } catch (error) {
    return error as Error;
  }
}
