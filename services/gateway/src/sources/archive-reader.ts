import { ArchiveClient, PAGE_BYTES_MAX, PAGE_EVENTS_MAX } from '@tidemark/nats';
import type { LogBounds } from '@tidemark/protocol';
import { EventEntry } from '../log/event-entry.ts';
import type { ArchiveTier, ColdPage, ColdQuery } from './cold-reads.ts';
import type { TierOptions } from './stream-reader.ts';

/** Reads the archive of a replay service over NATS. */
export class ArchiveReader implements ArchiveTier {
  readonly #client: ArchiveClient;

  constructor({ link, timeoutMs }: TierOptions) {
    this.#client = new ArchiveClient(link, { timeoutMs });
  }

  async bounds(): Promise<LogBounds> {
    return this.#client.readBounds();
  }

  async readPage({ epoch, patterns, after, through, eventsMax }: ColdQuery): Promise<{
    bounds: LogBounds;
    page?: ColdPage;
  }> {
    const query = {
      epoch,
      patterns: patterns.list,
      after,
      through,
      eventsMax: Math.min(eventsMax, PAGE_EVENTS_MAX),
      bytesMax: PAGE_BYTES_MAX,
    };
    const { bounds, events, missing, ...answer } = await this.#client.readPage(
      query,
      ({ sequence, topic, timeMs }, json) =>
        new EventEntry(epoch, { sequence, topic, timeMs, json }),
    );
    if (after + 1 < bounds.firstSequence || answer.through <= after) return { bounds };
    const [hole] = missing;
    if (hole && hole.from <= after + 1) {
      return { bounds, page: { kind: 'gap', through: Math.min(hole.to, through) } };
    }
    // A page ends where events are missing, so that the gap follows at that point.
    const complete = hole ? Math.min(answer.through, hole.from - 1) : answer.through;
    const entries = hole ? events.filter(({ sequence }) => sequence <= complete) : events;
    return { bounds, page: { kind: 'events', entries, through: complete } };
  }

  async sequenceBefore(timeMs: number): Promise<number> {
    return this.#client.sequenceBefore(timeMs);
  }
}
