import type { GapReason, Position, Start } from '@tidemark/protocol';
import { TidemarkError } from '@tidemark/protocol';
import type { ArchiveTier, Bounds, StreamTier } from './cold-reads.ts';
import type { Tail } from './tail.ts';

/** Where a subscription begins: events after this sequence are for it. */
export interface ResolvedStart {
  readonly sequence: number;
  /** The cursor that was asked for cannot be honoured, and why. */
  readonly gap?: { readonly from: Position; readonly reason: GapReason };
}

export interface LogPlace {
  readonly epoch: string;
  readonly tail: Tail;
}

/** Turns what clients ask for into a place in the log (PROTOCOL.md section 4). */
export class Starts {
  readonly #stream: StreamTier;
  readonly #archive: ArchiveTier;

  constructor(tiers: { readonly stream: StreamTier; readonly archive: ArchiveTier }) {
    this.#stream = tiers.stream;
    this.#archive = tiers.archive;
  }

  /**
   * At once where the tail knows the answer, which is the case for most clients.
   *
   * @throws TidemarkError `unavailable` when NATS has to be asked and does not answer
   */
  resolve(start: Start, log: LogPlace): ResolvedStart | Promise<ResolvedStart> {
    if (start.kind === 'latest') return { sequence: log.tail.head };
    if (start.kind === 'earliest') return this.#earliest();
    if (start.kind === 'time') {
      const sequence = log.tail.sequenceBefore(start.timeMs);
      return sequence === undefined ? this.#atTime(start.timeMs, log) : { sequence };
    }
    const { position } = start;
    if (position.epoch !== log.epoch) return this.#otherEpoch(position);
    if (position.sequence <= log.tail.head) return { sequence: position.sequence };
    return this.#beyondTail(position);
  }

  async #earliest(): Promise<ResolvedStart> {
    const stream = await this.#bounds();
    // Without an archive the stream's first event is the earliest there is.
    const archive = await this.#archive.bounds().catch(() => stream);
    const first =
      archive.epoch === stream.epoch
        ? Math.min(archive.firstSequence, stream.firstSequence)
        : stream.firstSequence;
    return { sequence: first - 1 };
  }

  async #otherEpoch(from: Position): Promise<ResolvedStart> {
    return { ...(await this.#earliest()), gap: { from, reason: 'epoch' } };
  }

  /** A gateway that is a moment behind is no reason for a gap; a log that lost its end is. */
  async #beyondTail(from: Position): Promise<ResolvedStart> {
    const { lastSequence } = await this.#bounds();
    if (from.sequence <= lastSequence) return { sequence: from.sequence };
    return { sequence: lastSequence, gap: { from, reason: 'future' } };
  }

  async #atTime(timeMs: number, { tail }: LogPlace): Promise<ResolvedStart> {
    const { firstSequence } = await this.#bounds();
    const sequence = await this.#stream.sequenceBefore(timeMs).catch(rethrow);
    if (sequence >= firstSequence) return { sequence: Math.min(sequence, tail.head) };
    const archived = await this.#archive.sequenceBefore(timeMs).catch(() => sequence);
    return { sequence: Math.min(sequence, archived) };
  }

  #bounds(): Promise<Bounds> {
    return this.#stream.bounds().catch(rethrow);
  }
}

function rethrow(cause: unknown): never {
  throw new TidemarkError('unavailable', 'The log cannot be asked now.', {
    cause,
    retryAfterSeconds: 1,
  });
}
