/** How long a replicated stream must answer with a lower end before that counts as its end. */
export const LOWER_END_BELIEVED_MS = 10_000;

/** What one server says about a stream. */
export interface StreamAnswer {
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
 * The one server of a stream without replicas is always believed. The lower end of a replicated stream is
 * believed when every answer of some seconds agrees. By then a server without the others has given up
 * its lead.
 */
export class KnownEnd {
  readonly #nowMs: () => number;
  #createdMs = 0;
  #sequence = 0;
  #lowerSinceMs: number | undefined;

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
   * @throws StaleAnswerError when the answer must not be believed
   */
  check({ createdMs, lastSequence, replicated, leader }: StreamAnswer): void {
    if (replicated) {
      if (!leader) throw new StaleAnswerError('The server does not know who leads the stream.');
      if (createdMs < this.#createdMs) {
        throw new StaleAnswerError('The server answers for an older stream.');
      }
      const isSame = createdMs === this.#createdMs || this.#createdMs === 0;
      if (isSame && lastSequence < this.#sequence) this.#judgeLower(lastSequence);
    }
    this.#lowerSinceMs = undefined;
    this.#createdMs = createdMs;
    this.#sequence = lastSequence;
  }

  #judgeLower(lastSequence: number): void {
    const nowMs = this.#nowMs();
    this.#lowerSinceMs ??= nowMs;
    if (nowMs - this.#lowerSinceMs >= LOWER_END_BELIEVED_MS) return;
    throw new StaleAnswerError(
      `The server knows the stream up to ${lastSequence}, and it reaches ${this.#sequence} at least.`,
    );
  }
}
