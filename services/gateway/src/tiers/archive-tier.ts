import { ArchiveClient, PAGE_BYTES_MAX, PAGE_EVENTS_MAX } from '@tidemark/nats';
import type { ArchiveTier, Bounds, ColdPage, ColdQuery } from '../log/cold-reads.ts';
import { Entry } from '../log/entry.ts';
import type { TierOptions } from './stream-tier.ts';

/** Reads the archive of a replay service, over NATS. */
export class ArchiveReader implements ArchiveTier {
  readonly #client: () => ArchiveClient;

  constructor({ nats, timeoutMs }: TierOptions) {
    this.#client = () => new ArchiveClient(nats(), { timeoutMs });
  }

  async bounds(): Promise<Bounds> {
    return this.#client().state();
  }

  async read({ patterns, after, through, eventsMax }: ColdQuery, epoch: string): Promise<ColdPage> {
    const page = await this.#client().read({
      epoch,
      patterns: patterns.patterns,
      after,
      through,
      eventsMax: Math.min(eventsMax, PAGE_EVENTS_MAX),
      bytesMax: PAGE_BYTES_MAX,
    });
    const [missing] = page.missing;
    if (missing && missing.from <= after + 1) {
      return { kind: 'gap', through: Math.min(missing.to, through) };
    }
    // A page ends where something is missing, so that the gap is told in its place.
    const complete = missing ? Math.min(page.through, missing.from - 1) : page.through;
    const entries = page.events
      .filter(({ sequence }) => sequence <= complete)
      .map((event) => new Entry({ epoch, sequence: event.sequence }, event));
    return { kind: 'events', entries, through: complete };
  }

  async sequenceBefore(timeMs: number): Promise<number> {
    return this.#client().sequenceAt(timeMs);
  }
}
