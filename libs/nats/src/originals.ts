import { isDeepStrictEqual } from 'node:util';
import { type Applicant, Permits } from '@tidemark/fairness';
import { type CloudEvent, parseExact, TidemarkError } from '@tidemark/protocol';
import type { NatsLink } from './link.ts';
import { unavailable } from './refusals.ts';
import type { RetryBudget } from './retry-budget.ts';
import { SEAL_HEADER } from './seal.ts';
import { readStateWithin } from './state-within.ts';
import { headerOf, type RawMessage, requestMessage, requestNext } from './stream-messages.ts';

export const MESSAGE_ID_HEADER = 'Nats-Msg-Id';

/** Most originals that are read at one time; publishers share them. Each may have the size of the largest event. */
const READS_MAX = 32;

/** An append as the stream is given it. */
export interface SentMessage {
  readonly publisher: string;
  readonly id: string;
  readonly subject: string;
  readonly payload: Uint8Array;
}

/** The stream has another event under the topic, source and id, at a sequence. */
export class ConflictError extends TidemarkError {
  readonly sequence: number;

  constructor(sequence: number) {
    super('conflict', 'The topic has another event with this source and id.');
    this.sequence = sequence;
  }
}

/** Whether a message of the stream has this message id. */
export function hasId(message: RawMessage, id: string): boolean {
  return headerOf(message, MESSAGE_ID_HEADER) === id;
}

/**
 * Compares appends that the stream has recognised as repeats with what it has stored. The message id names
 * publisher, topic, source and id, and says nothing about the rest of the event.
 */
export class Originals {
  readonly #link: NatsLink;
  readonly #reads = new Permits({ max: READS_MAX, nowMs: () => performance.now() });

  constructor(link: NatsLink) {
    this.#link = link;
  }

  /**
   * Checks that a repeat is one.
   *
   * @param sequence where the stream says that the original is
   * @returns `false` where another message is there, so that the stream may have lost the original. An
   *   original that has left the stream counts as the same: its id alone names the publisher and the topic
   * @throws TidemarkError `conflict` when the original has other content, `erased` when it was erased, or
   *   `unavailable`
   */
  async check(sent: SentMessage, sequence: number, budget: RetryBudget): Promise<boolean> {
    const applicant = { flow: { user: sent.publisher, connection: this }, signal: STAYING };
    const message = await this.#read(sequence, applicant, budget);
    if (!message) {
      await this.#refuseErased(sequence, budget);
      return true;
    }
    if (!hasId(message, sent.id)) return false;
    this.requireSame(message, sent);
    return true;
  }

  /**
   * Requires a message with the id of an append to be that append.
   *
   * @throws TidemarkError `conflict` when it has other content, or is not from a service
   */
  requireSame(message: RawMessage, { subject, payload }: SentMessage): void {
    const isSealed = this.#link.seal.isSealed(message, headerOf(message, SEAL_HEADER));
    const isOurs = isSealed && message.subject === subject;
    if (isOurs && isSameContent(message.payload, payload)) return;
    throw new ConflictError(message.sequence);
  }

  /** A message that is gone while an older one is there was deleted: retention removes the oldest. */
  async #refuseErased(sequence: number, budget: RetryBudget): Promise<void> {
    if (!(await requestNext(this.#link, sequence, budget))) return;
    const state = await readStateWithin(this.#link, budget.leftMs).catch((cause) => {
      throw unavailable('The stream cannot be read.', cause);
    });
    if (state.firstSequence > sequence) return;
    throw new TidemarkError('erased', 'The event was stored and has been erased since.');
  }

  #read(seq: number, applicant: Applicant, budget: RetryBudget): Promise<RawMessage | undefined> {
    return this.#reads.use(applicant, async () => {
      if (budget.spent) throw unavailable('Too many repeats wait to be compared with the stream.');
      return requestMessage(this.#link, { seq }, budget);
    });
  }
}

/** An append waits for its turn for as long as it has time. */
const STAYING = new AbortController().signal;

/**
 * Whether two events are the same apart from what a server adds anew to each attempt: the time, where the
 * publisher gave none, and the trace context.
 */
function isSameContent(stored: Uint8Array, sent: Uint8Array): boolean {
  if (Buffer.compare(stored, sent) === 0) return true;
  return isDeepStrictEqual(contentOf(stored), contentOf(sent));
}

function contentOf(payload: Uint8Array): object {
  const event = parseExact(Buffer.from(payload).toString()) as CloudEvent;
  const { time: _, traceparent: _parent, tracestate: _state, ...content } = event;
  return content;
}
