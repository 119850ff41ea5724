import type { Lineage } from '@tidemark/protocol';

/** How long all answers about a replicated stream must seem older before they count as the present. */
export const OLDER_BELIEVED_MS = 10_000;

/** How many such answers it takes. Two could be of one server that was held up for that time. */
export const OLDER_ANSWERS_MIN = 3;

/** What one server says about a stream. */
export interface StreamAnswer extends Lineage {
  /** When the stream was created, in milliseconds since 1970. */
  readonly createdMs: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Whether other servers hold copies of the stream. */
  readonly replicated: boolean;
  /** The server that leads the stream, as far as the one that answers knows. */
  readonly leader: string | undefined;
}

/** A server's answer about the stream is older than what is known already. */
export class StaleAnswerError extends Error {
  override readonly name = 'StaleAnswerError';
}

/**
 * The highest end of the stream that this process has seen, in answers, acknowledgements and records.
 * A server that was held up, or is cut off from the others, answers from its own old copy until it learns
 * who leads now. Such an answer must not pass for the log's bounds: the reader would skip what it lacks,
 * and the archive would remove it.
 *
 * The one server of a stream without replicas is always believed. An older answer about a replicated stream
 * is believed when every answer of some seconds agrees: by then a server without the others has given up
 * its lead, and the log was set back.
 */
export class KnownEnd {
  readonly #nowMs: () => number;
  #known: StreamAnswer | undefined;
  #sequence = 0;
  #olderSinceMs: number | undefined;
  #olderAnswers = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** The highest sequence that the stream is known to have had. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Notes that the stream has, or had, this sequence. */
  noteSequence(sequence: number): void {
    if (sequence > this.#sequence) this.#sequence = sequence;
  }

  /**
   * Compares an answer with what is known, and learns from it.
   *
   * @param asked the known sequence when the server was asked. What arrived since then may be newer than
   *   an answer that is true.
   * @throws StaleAnswerError when the answer must not be believed
   */
  check(answer: StreamAnswer, asked = this.#sequence): void {
    const kept = answer.replicated ? this.#judge(answer, asked) : 0;
    this.#olderSinceMs = undefined;
    this.#olderAnswers = 0;
    this.#known = answer;
    this.#sequence = Math.max(answer.lastSequence, kept);
  }

  /**
   * Checks the answer that a cursor is beyond the end of the log. A request can be so long on its way that
   * what the process has received meanwhile refutes the answer.
   *
   * @throws StaleAnswerError when the log is known to reach the cursor
   */
  checkBeyond({ lastSequence }: Pick<StreamAnswer, 'lastSequence'>, sequence: number): void {
    if (lastSequence >= sequence || this.#sequence < sequence) return;
    throw new StaleAnswerError(
      `The server knows the stream up to ${lastSequence}, and it reaches ${this.#sequence}.`,
    );
  }

  /** @returns the sequence that the stream has in any case, whatever the answer says; 0 for none */
  #judge(answer: StreamAnswer, asked: number): number {
    if (!answer.leader)
      throw new StaleAnswerError('The server does not know who leads the stream.');
    const older = this.#inWhatOlder(answer, Math.min(asked, this.#sequence));
    if (older === undefined) return this.#isSame(answer) ? this.#sequence : 0;
    const nowMs = this.#nowMs();
    this.#olderSinceMs ??= nowMs;
    this.#olderAnswers++;
    const agree = this.#olderAnswers >= OLDER_ANSWERS_MIN;
    if (!agree || nowMs - this.#olderSinceMs < OLDER_BELIEVED_MS) throw new StaleAnswerError(older);
    return 0;
  }

  #isSame({ createdMs, epoch }: StreamAnswer): boolean {
    const known = this.#known;
    return !known || (known.createdMs === createdMs && known.epoch === epoch);
  }

  /** @returns in what way the answer is older than what was known */
  #inWhatOlder(answer: StreamAnswer, reached: number): string | undefined {
    const { createdMs, epoch, lastSequence } = answer;
    const known = this.#known;
    if (known && createdMs < known.createdMs) return 'The server answers for an older stream.';
    if (known?.earlier?.some((one) => one.epoch === epoch)) {
      return 'The server answers for an older epoch of the log.';
    }
    if (!this.#isSame(answer) || lastSequence >= reached) return undefined;
    return `The server knows the stream up to ${lastSequence}, and it reaches ${reached} at least.`;
  }
}
