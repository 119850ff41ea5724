import {
  type ArchiveAnnouncement,
  isSameLog,
  type LogBounds,
  type SequenceRange,
} from '@tidemark/protocol';
import { covers, firstHeld, lackThrough } from './archive-holdings.ts';
import { KnownArchive } from './known-archive.ts';

/** Longer than the time between two announcements of one archive, so that each has been heard by then. */
const SETTLE_MS = 1500;

/** The memory of archives may be out of reach, such as for a NATS user without the permission. */
const MEMORY_WAIT_MS = 10_000;

/** When an archive counts as silent for good, and whose time that is. */
export interface ArchiveDirectoryOptions {
  /** How long an archive that fell silent still counts as holding its events, in ms. */
  readonly absenceMs: number;
  /** Time after `begin` in which every archive is heard, in ms. Longer than an announcement takes if absent. */
  readonly settleMs?: number;
  /** A monotonic clock, in ms. The process's own if absent. */
  readonly nowMs?: () => number;
  /** The instance that is not noted, because it is this process itself. */
  readonly except?: string;
}

/** What no archive that is known of holds. */
export interface ArchiveLack {
  /** All of them lack everything from the sequence asked for up to this one; infinity where no end is known. */
  readonly through: number;
  /** Whether one of them has not got that far yet, so that it may still receive the events. */
  readonly mayCome: boolean;
}

/**
 * The archives of all replay services, as they announce themselves. It tells which one to ask for a
 * part of the log, and whether a part is nowhere.
 *
 * An archive that has fallen silent is not asked. It still counts as holding its events for
 * `absenceMs`: readers then wait for it rather than being told a gap.
 */
export class ArchiveDirectory {
  readonly #options: ArchiveDirectoryOptions;
  readonly #nowMs: () => number;
  readonly #archives = new Map<string, KnownArchive>();
  #begunMs = Number.POSITIVE_INFINITY;
  #awaitsMemory = false;
  #turn = 0;

  constructor(options: ArchiveDirectoryOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /**
   * Whether every archive that is there has been heard, and those are remembered that were there before. Until
   * then nothing counts as held by none.
   */
  get settled(): boolean {
    const sinceMs = this.#nowMs() - this.#begunMs;
    const isRemembered = !this.#awaitsMemory || sinceMs >= MEMORY_WAIT_MS;
    return isRemembered && sinceMs >= (this.#options.settleMs ?? SETTLE_MS);
  }

  /** Archives that can be asked now. */
  get available(): number {
    return this.#accepting().length;
  }

  /** Announcements arrive from now on, for the first time or again. */
  begin(): void {
    this.#begunMs = this.#nowMs();
  }

  /** From now on `remember` is awaited, for a while. */
  awaitMemory(): void {
    this.#awaitsMemory = true;
  }

  /** Takes the archives that there were before this process began. They count as silent since now. */
  remember(announcements: readonly ArchiveAnnouncement[]): void {
    this.#awaitsMemory = false;
    const known = new Set([...this.#archives.values()].map(({ archive }) => archive));
    for (const announcement of announcements) {
      const { archive, instance } = announcement;
      if (known.has(archive) || this.#archives.has(instance)) continue;
      this.#archives.set(instance, KnownArchive.remembered(announcement, this.#nowMs()));
    }
  }

  note(announcement: ArchiveAnnouncement): void {
    const { instance } = announcement;
    if (instance === this.#options.except) return;
    const known = this.#archives.get(instance);
    if (known) known.hear(announcement, this.#nowMs());
    else this.#archives.set(instance, new KnownArchive(announcement, this.#nowMs()));
  }

  /**
   * Ends the requests to archives that fell silent. Forgets those that stay away, and those that are held
   * by another process since a restart.
   */
  sweep(): void {
    const nowMs = this.#nowMs();
    const present = [...this.#archives.values()].filter((archive) => archive.isPresent(nowMs));
    for (const [instance, archive] of this.#archives) {
      if (present.includes(archive)) continue;
      archive.abandonRequests();
      const { holdings, heardMs } = archive;
      const isReplaced = present.some(
        (other) => other.archive === archive.archive && covers(other.holdings, holdings),
      );
      const isAbsent = nowMs - heardMs > this.#options.absenceMs;
      if (isReplaced || isAbsent) this.#archives.delete(instance);
    }
  }

  /**
   * The archive to ask for the events from a sequence on: the one with the fewest requests among those
   * that hold it. Where none does, the one that has got furthest, because it may be there by now.
   */
  choose(
    epoch: string,
    sequence: number,
    tried: ReadonlySet<KnownArchive>,
  ): KnownArchive | undefined {
    const open = this.#accepting(epoch).filter((archive) => !tried.has(archive));
    const lacks = new Map(open.map((one) => [one, lackThrough(one.holdings, sequence)]));
    const holding = open.filter((archive) => lacks.get(archive) === undefined);
    if (holding.length > 0) return this.#leastBusy(holding);
    const behind = open.filter((archive) => lacks.get(archive) === Number.POSITIVE_INFINITY);
    return behind.sort((a, b) => b.holdings.lastSequence - a.holdings.lastSequence)[0];
  }

  /**
   * The archive to ask for what holds as of a sequence or later, whatever it lacks before: the one with the
   * fewest requests among those that have reached it, else the one that has got furthest.
   */
  chooseReaching(
    epoch: string,
    sequence: number,
    tried: ReadonlySet<KnownArchive>,
  ): KnownArchive | undefined {
    const open = this.#accepting(epoch).filter((archive) => !tried.has(archive));
    const there = open.filter(({ holdings }) => holdings.lastSequence >= sequence);
    if (there.length > 0) return this.#leastBusy(there);
    return open.sort((a, b) => b.holdings.lastSequence - a.holdings.lastSequence)[0];
  }

  /** The archives of an epoch that can be asked now. */
  all(epoch: string): readonly KnownArchive[] {
    return this.#accepting(epoch);
  }

  /**
   * What no known archive of the log holds from a sequence on.
   *
   * @returns `undefined` where one of them holds it or may hold it, also in another epoch of the log;
   *   `undefined` where none of the epoch is known
   */
  lackAt(epoch: string, sequence: number): ArchiveLack | undefined {
    const nowMs = this.#nowMs();
    // An archive that has yet to follow the log into its epoch keeps there what it holds.
    const archives = this.#ofLog(epoch);
    const lacks = archives.map((archive) => {
      const lack = lackThrough(archive.holdings, sequence);
      const isUnknown = lack === Number.POSITIVE_INFINITY && archive.mayHoldMore(nowMs);
      return isUnknown ? undefined : lack;
    });
    const isFollowed = archives.some(({ holdings }) => holdings.epoch === epoch);
    if (!isFollowed || lacks.includes(undefined)) return undefined;
    const ends = lacks as number[];
    return { through: Math.min(...ends), mayCome: ends.includes(Number.POSITIVE_INFINITY) };
  }

  /** Whether a known archive of the log, which may be silent, holds any of a range or may hold it. */
  mayHold(epoch: string, range: SequenceRange): boolean {
    const nowMs = this.#nowMs();
    return this.#ofLog(epoch).some((archive) => {
      const { holdings } = archive;
      if (range.to > holdings.lastSequence && archive.mayHoldMore(nowMs)) return true;
      return firstHeld(holdings, range) !== undefined;
    });
  }

  /** The first part of a range that an archive holds which can be asked now. */
  firstHeld(epoch: string, range: SequenceRange): SequenceRange | undefined {
    const parts = this.#accepting(epoch).flatMap(
      ({ holdings }) => firstHeld(holdings, range) ?? [],
    );
    return parts.sort((left, right) => left.from - right.from)[0];
  }

  /**
   * From the lowest first to the highest last sequence of all known archives; of a log where any is. The epoch
   * is the one that was asked for, where an archive is in it.
   */
  bounds(epoch: string): LogBounds | undefined {
    const same = this.#ofLog(epoch);
    const known = same.length > 0 ? same : [...this.#archives.values()].slice(0, 1);
    const holdings = known.map((archive) => archive.holdings);
    const [first] = holdings;
    if (!first) return undefined;
    const isThere = holdings.some((one) => one.epoch === epoch);
    return {
      epoch: isThere ? epoch : first.epoch,
      firstSequence: Math.min(...holdings.map(({ firstSequence }) => firstSequence)),
      lastSequence: Math.max(...holdings.map(({ lastSequence }) => lastSequence)),
    };
  }

  #known(epoch: string): KnownArchive[] {
    return [...this.#archives.values()].filter(({ holdings }) => holdings.epoch === epoch);
  }

  #ofLog(epoch: string): KnownArchive[] {
    return [...this.#archives.values()].filter(({ holdings }) => isSameLog(holdings.epoch, epoch));
  }

  #accepting(epoch?: string): KnownArchive[] {
    const nowMs = this.#nowMs();
    const known = epoch === undefined ? [...this.#archives.values()] : this.#known(epoch);
    return known.filter((archive) => archive.accepts(nowMs));
  }

  /** Among equally busy ones each has its turn. */
  #leastBusy(archives: readonly KnownArchive[]): KnownArchive | undefined {
    const fewest = Math.min(...archives.map(({ underWay }) => underWay));
    const idle = archives.filter(({ underWay }) => underWay === fewest);
    return idle[this.#turn++ % idle.length];
  }
}
