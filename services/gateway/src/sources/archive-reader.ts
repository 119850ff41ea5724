import {
  type ArchiveClient,
  type CreateEvent,
  type LastFound,
  type LastSearchLimits,
  PAGE_BYTES_MAX,
  PAGE_EVENTS_MAX,
} from '@tidemark/nats';
import { type LogBounds, typesFault } from '@tidemark/protocol';
import { EventEntry } from '../log/event-entry.ts';
import type { PatternSet } from '../log/pattern-set.ts';
import type {
  ArchiveRead,
  ArchiveTier,
  ColdQuery,
  EventsPage,
  EventsQuery,
  LastQuery,
} from './cold-reads.ts';

/** Reads the archives of the replay services over NATS. */
export class ArchiveReader implements ArchiveTier {
  readonly #client: ArchiveClient;

  constructor(client: ArchiveClient) {
    this.#client = client;
  }

  bounds(epoch: string): Promise<LogBounds> {
    return this.#client.bounds(epoch);
  }

  async readPage(
    { epoch, patterns, after, through, eventsMax }: ColdQuery,
    user?: string,
  ): Promise<ArchiveRead> {
    const query = {
      epoch,
      patterns: patterns.list,
      ...typesOf(patterns),
      after,
      through,
      eventsMax: Math.min(eventsMax, PAGE_EVENTS_MAX),
      bytesMax: PAGE_BYTES_MAX,
    };
    const { page, lack } = await this.#client.readPage(query, entriesOf(epoch), user);
    if (!page) return { lack };
    const { events, missing } = page;
    const [hole] = missing;
    // A page ends where events are missing: the next read asks for them elsewhere.
    const complete = hole ? Math.min(page.through, hole.from - 1) : page.through;
    const entries = hole ? events.filter(({ sequence }) => sequence <= complete) : events;
    return { page: { kind: 'events', entries, through: complete } };
  }

  findLast(
    { epoch, patterns, reach }: LastQuery,
    limits: LastSearchLimits,
    user?: string,
  ): Promise<LastFound> {
    const query = { epoch, patterns: patterns.list, ...typesOf(patterns), reach };
    return this.#client.findLast(query, limits, user);
  }

  async readEvents({ epoch, sequences }: EventsQuery, user?: string): Promise<EventsPage> {
    const query = { epoch, sequences, bytesMax: PAGE_BYTES_MAX };
    const { events, through } = await this.#client.readEvents(query, entriesOf(epoch), user);
    return { entries: events, through };
  }

  sequenceBefore(epoch: string, timeMs: number, user?: string): Promise<number> {
    return this.#client.sequenceBefore(epoch, timeMs, user);
  }
}

function entriesOf(epoch: string): CreateEvent<EventEntry> {
  return ({ sequence, topic, timeMs }, json) =>
    new EventEntry(epoch, { sequence, topic, timeMs, json });
}

/** Several subscriptions may want more types than a query may have; then the reader filters alone. */
function typesOf({ types }: PatternSet): { types?: readonly string[] } {
  const fits = types !== undefined && typesFault(types.list) === undefined;
  return fits ? { types: types.list } : {};
}
