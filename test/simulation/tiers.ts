import { ArchiveClient, ArchiveDirectory, type NatsLink } from '@tidemark/nats';
import type { LogBounds } from '@tidemark/protocol';
import { EventEntry } from '../../services/gateway/src/log/event-entry.ts';
import { PatternSet } from '../../services/gateway/src/log/pattern-set.ts';
import type { Slice } from '../../services/gateway/src/log/tail.ts';
import type { Clock } from '../../services/gateway/src/scheduling/clock.ts';
import { ArchiveReader } from '../../services/gateway/src/sources/archive-reader.ts';
import type {
  ArchiveTier,
  ColdQuery,
  ScanLimits,
  StreamTier,
  TimeSearch,
} from '../../services/gateway/src/sources/cold-reads.ts';
import { believedSlice } from '../../services/gateway/src/sources/copy-end.ts';
import { RangeScan } from '../../services/gateway/src/sources/range-scan.ts';
import { respond } from './archive.ts';
import type { SimulatedReplay } from './replay.ts';
import type { StreamAccess } from './stream-access.ts';
import type { StoredRecord } from './versions.ts';
import type { World } from './world.ts';

/** Most messages that one step of a read brings. The stream may change between two steps. */
const BATCH_MAX = 40;
/** How long a replicated stream may seem to end before a cursor. */
const REACHING_WAIT_MS = 3000;
const REACHING_PAUSE_MS = 250;
const READ_BYTES_MAX = 256 * 1024;

/** Reads the stream as `StreamReader` does, in steps. Anything may happen between two steps. */
export class SimulatedStream implements StreamTier {
  readonly #world: World;
  readonly #access: StreamAccess;

  constructor(world: World, access: StreamAccess) {
    this.#world = world;
    this.#access = access;
  }

  get connected(): boolean {
    return this.#world.natsUp;
  }

  async bounds(): Promise<LogBounds> {
    return this.#access.state();
  }

  /** As `readStateReaching`. */
  async boundsReaching(sequence: number): Promise<LogBounds> {
    const { clock } = this.#world;
    const deadlineMs = clock.nowMs + REACHING_WAIT_MS;
    for (;;) {
      const state = await this.#access.state();
      const isLate = state.replicated && state.lastSequence < sequence;
      if (!isLate) return state;
      if (clock.nowMs >= deadlineMs) {
        this.#access.knownEnd.checkBeyond(state, sequence);
        return state;
      }
      await this.#access.pause(REACHING_PAUSE_MS);
    }
  }

  async readSlice(query: ColdQuery): Promise<Slice> {
    const slice = await this.#readCopy(query);
    const { patterns, through } = query;
    if (slice.through < through || !this.#world.profile.cluster) return slice;
    return believedSlice(slice, query, (last) => this.#access.nextMatch(patterns, last, through));
  }

  /** With the real scan; what it reads is as in `#readCopy`. */
  async readSlices(
    queries: readonly ColdQuery[],
    { isAwaited }: ScanLimits,
  ): Promise<(Slice | undefined)[]> {
    const { history, random, profile, clock } = this.#world;
    const scan = new RangeScan<StoredRecord>(queries, {
      decode: (record) => (record.valid ? record : undefined),
      nowMs: () => clock.nowMs,
      isAwaited,
    });
    const { after, through } = scan;
    await this.#access.hop(`read for ${queries.length} after ${after}`);
    const end = profile.cluster && random.chance(0.6) ? random.between(after, through) : through;
    let position = after;
    let first = 0;
    for (let taken = 1; ; taken++) {
      const record = history.next(position);
      if (!record || record.sequence > end) break;
      position = record.sequence;
      first ||= position;
      const isStopped = !scan.take(record) || random.chance(0.01);
      if (isStopped && position < through) return scan.slices(position);
      if (taken % BATCH_MAX === 0) await this.#access.hop(`read on after ${position}`);
    }
    if (!profile.cluster) return scan.slices(through);
    const all = new PatternSet(['>']);
    const believed = await believedSlice(
      { entries: [], through, ...(position > after && { delivered: { first, last: position } }) },
      { after, through },
      (last) => this.#access.nextMatch(all, last, through),
    );
    return scan.slices(believed.through);
  }

  /**
   * Reads whichever stream exists now, without a check of its epoch, as the real reader does. In a cluster
   * the copy that it reads may lag.
   */
  async #readCopy(query: ColdQuery): Promise<Slice> {
    const { epoch, patterns, after, through, eventsMax } = query;
    const { history, random, profile } = this.#world;
    const isLate = profile.cluster && random.chance(0.6);
    const entries: EventEntry[] = [];
    let bytes = 0;
    let position = after;
    await this.#access.hop(`read after ${after}`);
    const end = isLate ? random.between(after, through) : through;
    for (;;) {
      for (let taken = 0; taken < BATCH_MAX; taken++) {
        const record = history.next(position);
        if (!record || record.sequence > end) return { entries, through };
        position = record.sequence;
        if (record.valid && patterns.matches(record.topic)) {
          entries.push(new EventEntry(epoch, record));
          bytes += record.json.length;
        }
        const full = entries.length >= eventsMax || bytes >= READ_BYTES_MAX;
        if (full && position < through) return { entries, through: position };
      }
      await this.#access.hop(`read on after ${position}`);
    }
  }

  async sequenceBefore(timeMs: number): Promise<TimeSearch> {
    await this.#access.hop('ask for a time');
    const { history } = this.#world;
    const { firstSequence, lastSequence } = history;
    let sequence = firstSequence - 1;
    for (;;) {
      const record = history.next(sequence);
      const isLater = record && record.timeMs >= timeMs;
      if (isLater || !record) {
        const before = record ? record.sequence - 1 : lastSequence;
        return { sequence: before, found: before >= firstSequence };
      }
      sequence = record.sequence;
    }
  }
}

/** How long an archive that is away counts as holding its events: longer than any world lasts. */
const ABSENCE_MS = 1e9;
const ANNOUNCE_MS = 1000;

/** The gateway's own archive reader, on a connection that the world delays and breaks. */
export class SimulatedArchives {
  readonly tier: ArchiveTier;
  readonly #world: World;
  readonly #clock: Clock;
  readonly #directory: ArchiveDirectory;

  constructor(world: World, clock: Clock) {
    this.#world = world;
    this.#clock = clock;
    const nowMs = () => clock.nowMs();
    const directory = new ArchiveDirectory({ absenceMs: ABSENCE_MS, settleMs: 0, nowMs });
    this.#directory = directory;
    directory.begin();
    // A gateway has heard of every archive before it takes clients.
    for (const replay of world.replays) this.hear(replay);
    this.#follow();
    const link = {
      connection: { request: (subject: string, body: string) => this.#request(subject, body) },
      get connected() {
        return world.natsUp;
      },
    } as unknown as NatsLink;
    this.tier = new ArchiveReader(new ArchiveClient({ link, directory, timeoutMs: 1000, nowMs }));
  }

  /** Hears what an archive announces. */
  hear(replay: SimulatedReplay): void {
    const announcement = replay.announcement();
    if (announcement) this.#directory.note(announcement);
  }

  #follow(): void {
    const { natsUp, replays } = this.#world;
    for (const replay of replays) if (natsUp && replay.up) this.hear(replay);
    this.#directory.sweep();
    this.#clock.after(ANNOUNCE_MS, () => this.#follow());
  }

  async #request(subject: string, body: string): Promise<{ data: Uint8Array }> {
    const { requests, replays } = this.#world;
    await requests.hop(subject);
    const replay = replays.find(({ name }) => subject.endsWith(`.${name}`));
    if (!this.#world.natsUp || !replay?.up) throw new Error('No responders.');
    const data = respond(replay.archive, subject, body);
    await requests.hop(`answer of ${replay.name}`);
    return { data };
  }
}
