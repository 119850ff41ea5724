import { ArchiveClient, ArchiveDirectory, type NatsLink } from '@tidemark/nats';
import type { LogBounds } from '@tidemark/protocol';
import { EventEntry } from '../../services/gateway/src/log/event-entry.ts';
import type { Slice } from '../../services/gateway/src/log/tail.ts';
import { ArchiveReader } from '../../services/gateway/src/sources/archive-reader.ts';
import type {
  ArchiveTier,
  ColdQuery,
  StreamTier,
} from '../../services/gateway/src/sources/cold-reads.ts';
import { respond } from './archive.ts';
import type { World } from './world.ts';

/** Most messages that one step of a read brings. The stream may change between two steps. */
const BATCH_MAX = 40;
const READ_BYTES_MAX = 256 * 1024;

/** Reads the stream as `StreamReader` does, in steps. Anything may happen between two steps. */
export class SimulatedStream implements StreamTier {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  get connected(): boolean {
    return this.#world.natsUp;
  }

  async bounds(): Promise<LogBounds> {
    await this.#hop('ask for bounds');
    const bounds = this.#world.history.bounds();
    await this.#hop('answer bounds');
    return bounds;
  }

  boundsReaching(): Promise<LogBounds> {
    return this.bounds();
  }

  /** Reads whichever stream exists now, without a check of its epoch, as the real reader does. */
  async readSlice(query: ColdQuery): Promise<Slice> {
    const { epoch, patterns, after, through, eventsMax } = query;
    const { history } = this.#world;
    const entries: EventEntry[] = [];
    let bytes = 0;
    let position = after;
    await this.#hop(`read after ${after}`);
    for (;;) {
      for (let taken = 0; taken < BATCH_MAX; taken++) {
        const record = history.next(position);
        if (!record || record.sequence > through) return { entries, through };
        position = record.sequence;
        if (record.valid && patterns.matches(record.topic)) {
          entries.push(new EventEntry(epoch, record));
          bytes += record.json.length;
        }
        const full = entries.length >= eventsMax || bytes >= READ_BYTES_MAX;
        if (full && position < through) return { entries, through: position };
      }
      await this.#hop(`read on after ${position}`);
    }
  }

  async sequenceBefore(timeMs: number): Promise<number> {
    await this.#hop('ask for a time');
    const { history } = this.#world;
    let sequence = history.firstSequence - 1;
    for (;;) {
      const record = history.next(sequence);
      if (!record) return history.lastSequence;
      if (record.timeMs >= timeMs) return record.sequence - 1;
      sequence = record.sequence;
    }
  }

  async #hop(what: string): Promise<void> {
    await this.#world.requests.hop(what);
    if (!this.#world.natsUp) throw new Error('NATS is away.');
  }
}

/** How long an archive that is away counts as holding its events: longer than any world lasts. */
const ABSENCE_MS = 1e9;

/** The gateway's own archive reader, on a connection that the world delays and breaks. */
export function createArchiveTier(world: World): ArchiveTier {
  const nowMs = () => world.clock.nowMs;
  const directory = new ArchiveDirectory({ absenceMs: ABSENCE_MS, settleMs: 0, nowMs });
  directory.begin();
  const request = async (subject: string, body: string) => {
    await world.requests.hop(subject);
    if (!world.natsUp || !world.archiveUp) throw new Error('No responders.');
    const data = respond(world.archive, subject, body);
    await world.requests.hop('answer of the archive');
    return { data };
  };
  const link = {
    connection: { request },
    get connected() {
      return world.natsUp;
    },
  } as unknown as NatsLink;
  const reader = new ArchiveReader(new ArchiveClient({ link, directory, timeoutMs: 1000, nowMs }));
  // What an archive holds is announced so often here that the newest announcement is always true.
  const announced = <T>(read: () => Promise<T>): Promise<T> => {
    const holdings = world.archive.holdings();
    if (holdings && world.natsUp) {
      directory.note({ instance: 'a', archive: 'a', leaving: !world.archiveUp, holdings });
    }
    return read();
  };
  return {
    bounds: (epoch) => announced(() => reader.bounds(epoch)),
    readPage: (query) => announced(() => reader.readPage(query)),
    sequenceBefore: (epoch, timeMs) => announced(() => reader.sequenceBefore(epoch, timeMs)),
  };
}
