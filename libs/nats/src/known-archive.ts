import type { ArchiveAnnouncement, ArchiveHoldings, SequenceRange } from '@tidemark/protocol';
import { withMissing } from './archive-holdings.ts';

/** An archive that announced nothing for this long is not asked. */
export const SILENCE_MS = 3500;

const RETRY_FIRST_MS = 1000;
const RETRY_LAST_MS = 10_000;

/**
 * An archive as its last announcement describes it, and a circuit breaker for the requests to it.
 *
 *     closed --a request fails--> open --time passes, and it announces itself--> half-open
 *        ^                          ^                                                |
 *        |                          +------------- the one request fails ------------+
 *        +---------------------------- the one request succeeds ---------------------+
 *
 * It is open too while the archive announces nothing, so a process that hangs costs no request a
 * time-out once it has been silent for `SILENCE_MS`.
 */
export class KnownArchive {
  readonly instance: string;
  /** The archive itself, whichever process holds it. */
  readonly archive: string;
  readonly #underWay = new Set<() => void>();
  #holdings: ArchiveHoldings;
  #leaving: boolean;
  #remembered = false;
  #heardMs: number;
  #failures = 0;
  #failedMs = 0;
  #retryMs = 0;

  constructor({ instance, archive, holdings, leaving }: ArchiveAnnouncement, nowMs: number) {
    this.instance = instance;
    this.archive = archive;
    this.#holdings = holdings;
    this.#leaving = leaving;
    this.#heardMs = nowMs;
  }

  get holdings(): ArchiveHoldings {
    return this.#holdings;
  }

  /** When its last announcement arrived. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /** Requests that wait for its answer. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** An archive that was there once, and has not been heard by this process. */
  static remembered(announcement: ArchiveAnnouncement, nowMs: number): KnownArchive {
    const archive = new KnownArchive(announcement, nowMs);
    archive.#remembered = true;
    return archive;
  }

  hear({ holdings, leaving }: ArchiveAnnouncement, nowMs: number): void {
    this.#holdings = holdings;
    this.#leaving = leaving;
    this.#heardMs = nowMs;
    this.#remembered = false;
  }

  /** Notes a range that the archive lacks though its announcement did not say so. */
  noteMissing(range: SequenceRange): void {
    this.#holdings = withMissing(this.#holdings, range);
  }

  /** Whether a request may be sent to it now. */
  accepts(nowMs: number): boolean {
    if (!this.isPresent(nowMs)) return false;
    if (this.#failures === 0) return true;
    return this.#heardMs > this.#failedMs && nowMs >= this.#retryMs && this.underWay === 0;
  }

  /** Whether it is known to be there, though it may not answer. */
  isPresent(nowMs: number): boolean {
    return !this.#leaving && !this.isSilent(nowMs);
  }

  /** Whether it may have received more than it announced, before it fell silent or failed to answer. */
  mayHoldMore(nowMs: number): boolean {
    const failedSince = this.#failures > 0 && this.#heardMs <= this.#failedMs;
    return !this.#leaving && (failedSince || this.isSilent(nowMs));
  }

  isSilent(nowMs: number): boolean {
    return this.#remembered || nowMs - this.#heardMs > SILENCE_MS;
  }

  /**
   * Follows a request. Rejects as soon as the archive counts as lost, without waiting for its time-out.
   *
   * @param nowMs the clock
   */
  async follow<T>(request: Promise<T>, nowMs: () => number): Promise<T> {
    const startMs = nowMs();
    let abandon = (): void => {};
    const lost = new Promise<never>((_, reject) => {
      abandon = () => reject(new Error('The archive is lost.'));
    });
    this.#underWay.add(abandon);
    try {
      const answer = await Promise.race([request, lost]);
      this.#failures = 0;
      return answer;
    } catch (error) {
      // Requests that were sent before a failure was seen belong to the same failure.
      if (startMs >= this.#failedMs) this.#fail(nowMs());
      throw error;
    } finally {
      this.#underWay.delete(abandon);
    }
  }

  /** Ends the requests that wait for it. */
  abandonRequests(): void {
    for (const abandon of this.#underWay) abandon();
  }

  #fail(nowMs: number): void {
    this.#failures++;
    this.#failedMs = nowMs;
    this.#retryMs = nowMs + Math.min(RETRY_FIRST_MS * 2 ** (this.#failures - 1), RETRY_LAST_MS);
    this.abandonRequests();
  }
}
