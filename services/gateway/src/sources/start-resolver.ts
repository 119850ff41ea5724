import type { GapReason, Position, Start } from '@tidemark/protocol';
import { TidemarkError } from '@tidemark/protocol';
import type { Tail } from '../log/tail.ts';
import type { ArchiveTier, Bounds, StreamTier } from './cold-reads.ts';

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
      return sequence === undefined ? this.#atTime(start.timeMs) : { sequence };
    }
    const { position } = start;
    if (position.epoch !== log.epoch) return this.#otherEpoch(position, log);
    if (position.sequence <= log.tail.head) return { sequence: position.sequence };
    return this.#beyondTail(position, log);
  }

  async #earliest(): Promise<ResolvedStart> {
    return this.#first(await this.#bounds());
  }

  async #first(stream: Bounds): Promise<ResolvedStart> {
    if (stream.firstSequence <= 1) return { sequence: 0 };
    // While the archive is away nobody knows what it holds: to begin later would be a silent loss.
    const archive = await this.#archive.bounds().catch(rethrow);
    const { firstSequence } = archive.epoch === stream.epoch ? archive : stream;
    return { sequence: Math.min(firstSequence, stream.firstSequence) - 1 };
  }

  async #otherEpoch(from: Position, log: LogPlace): Promise<ResolvedStart> {
    const stream = await this.#bounds();
    // This gateway has yet to see the stream that the client may come from.
    if (stream.epoch !== log.epoch) rethrow(undefined);
    return { ...(await this.#first(stream)), gap: { from, reason: 'epoch' } };
  }

  /** A gateway that is a moment behind is no reason for a gap; a log that lost its end is. */
  async #beyondTail(from: Position, log: LogPlace): Promise<ResolvedStart> {
    const { epoch, lastSequence } = await this.#bounds();
    // In a stream that this gateway has yet to see, the log's change will tell the gap.
    const there = epoch !== log.epoch || from.sequence <= lastSequence;
    if (there) return { sequence: from.sequence };
    return { sequence: lastSequence, gap: { from, reason: 'future' } };
  }

  async #atTime(timeMs: number): Promise<ResolvedStart> {
    const sequence = await this.#stream.sequenceBefore(timeMs).catch(rethrow);
    // Asked afterwards: what was there in between has expired, and the archive knows better.
    const { firstSequence } = await this.#bounds();
    if (sequence >= firstSequence || firstSequence <= 1) return { sequence };
    const archived = await this.#archive.sequenceBefore(timeMs).catch(rethrow);
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
