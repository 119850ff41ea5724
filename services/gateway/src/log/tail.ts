import type { TypeFilter } from '@tidemark/protocol';
import { EntryQueue } from './entry-queue.ts';
import { type Account, EventEntry } from './event-entry.ts';
import type { PatternSet } from './pattern-set.ts';
import { Topic, topicBytes } from './topic.ts';
import { TopicIndex } from './topic-index.ts';

/** Most entries that one read examines, and how many between two looks at the clock. */
const SCAN_MAX = 4096;
const SCAN_PART = 64;

/** Patterns that match more topics than this, or need more visits of the index, are read by a scan. */
const INDEXED_TOPICS_MAX = 64;
const INDEX_VISITS_MAX = 512;

export interface TailLimits {
  readonly bytesMax: number;
  readonly eventsMax: number;
}

export interface ReadLimits {
  readonly eventsMax: number;
  /** Whether the time of the read is over. It then ends with what it has examined. Never if absent. */
  readonly isOver?: () => boolean;
}

/** Entries whose JSON is looked at between two looks at the clock. A type may lie behind 256 KiB of data. */
const JSON_PART = 8;

/** Entries in ascending order; complete up to and including `through`. */
export interface Slice {
  readonly entries: readonly EventEntry[];
  readonly through: number;
}

/**
 * Tail: the newest events of the log in memory, bounded in bytes and in number. The oldest leave first.
 *
 *     floor < first entry ... last entry <= head
 *
 * It is complete from the sequence after `floor` up to `head`. A reader at `floor` or later reads from
 * here, an older one from the archive or the stream.
 */
export class Tail {
  readonly #limits: TailLimits;
  readonly #wallMs: () => number;
  readonly #entries = new EntryQueue();
  readonly topics = new TopicIndex<Topic>();
  #floor: number;
  #head: number;
  #followedAfter: number;
  #bytes = 0;
  /** Frames are encoded later than their events come, and may then be too much. */
  readonly #account: Account = {
    add: (bytes) => {
      this.#bytes += bytes;
      if (bytes > 0) this.#evict();
    },
  };

  /**
   * @param start the sequence after which the tail begins
   * @param wallMs the wall clock, which tells what has expired
   */
  constructor(start: number, limits: TailLimits, wallMs: () => number = Date.now) {
    this.#floor = start;
    this.#head = start;
    this.#followedAfter = start;
    this.#limits = limits;
    this.#wallMs = wallMs;
  }

  get floor(): number {
    return this.#floor;
  }

  get head(): number {
    return this.#head;
  }

  /** The entries after this sequence came through the feed, one after the other. Older ones were filled in later. */
  get followedAfter(): number {
    return Math.max(this.#floor, this.#followedAfter);
  }

  /** The memory of the entries, with the frames that they keep, and of the topics. */
  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#entries.length;
  }

  get oldestMs(): number | undefined {
    return this.#entries.first?.timeMs;
  }

  /** The topic of a name, with a place for its entries. The next entry must be one of it. */
  openTopic(name: string): Topic {
    const known = this.topics.get(name);
    if (known) return known;
    const topic = new Topic(name);
    this.topics.set(name, topic);
    this.#bytes += topic.chargedBytes;
    return topic;
  }

  /** @param topic as `openTopic` gave it */
  appendEntry(entry: EventEntry, topic = this.openTopic(entry.topic)): Topic {
    this.#head = entry.sequence;
    this.#entries.push(entry);
    topic.entries.push(entry);
    entry.chargeTo(this.#account);
    return topic;
  }

  /**
   * Puts older entries before all others, the newest of them first, while there is room.
   *
   * @param entries all from the sequence after `after` up to the floor, in ascending order
   * @returns whether there was room for all of them, so that the tail now begins after `after`
   */
  prependEntries(entries: readonly EventEntry[], after: number): boolean {
    const kept = entries.slice(this.#firstWithRoom(entries));
    const byTopic = new Map<Topic, EventEntry[]>();
    for (const entry of kept) {
      const topic = this.openTopic(entry.topic);
      const own = byTopic.get(topic);
      if (own) own.push(entry);
      else byTopic.set(topic, [entry]);
    }
    for (const [topic, own] of byTopic) topic.entries.prepend(own);
    this.#entries.prepend(kept);
    const last = entries.at(-1 - kept.length);
    this.#floor = last?.sequence ?? after;
    for (const entry of kept) entry.chargeTo(this.#account);
    return last === undefined;
  }

  /** The index of the first of these older entries for which there is room, with all that follow it. */
  #firstWithRoom(entries: readonly EventEntry[]): number {
    const { bytesMax, eventsMax } = this.#limits;
    let bytes = this.#bytes;
    let first = entries.length;
    const countMax = eventsMax - this.#entries.length;
    while (first > 0 && entries.length - first < countMax) {
      const { chargedBytes, topic } = entries[first - 1] as EventEntry;
      bytes += chargedBytes + (this.topics.get(topic) ? 0 : topicBytes(topic));
      if (bytes > bytesMax) break;
      first--;
    }
    return first;
  }

  /** Erases the event of a sequence, if the tail has it. Whoever is about to write it still does. */
  eraseEvent(sequence: number): void {
    const entry = this.#entries.at(this.#entries.indexAfter(sequence - 1));
    if (entry?.sequence !== sequence || entry.erased) return;
    const blank = EventEntry.blankFor(entry);
    this.#entries.replace(blank);
    this.topics.get(entry.topic)?.entries.replace(blank);
    entry.endCharge();
    blank.chargeTo(this.#account);
  }

  /** Erases the events of a topic before a sequence. */
  eraseTopic(name: string, before: number): void {
    const entries = this.topics.get(name)?.entries.after(0) ?? [];
    for (const { sequence } of entries) if (sequence < before) this.eraseEvent(sequence);
  }

  /** Moves the head past a message that is not a valid event. */
  advanceHead(sequence: number): void {
    this.#head = sequence;
  }

  /** Drops every entry. The tail then begins after this sequence. */
  reset(sequence: number): void {
    for (const entry of this.#entries.after(0)) entry.endCharge();
    this.#entries.clear();
    this.topics.clear();
    this.#bytes = 0;
    this.#floor = sequence;
    this.#head = sequence;
    this.#followedAfter = sequence;
  }

  /** The entries after one sequence, up to and including another, without those that were erased. */
  between(after: number, through: number): readonly EventEntry[] {
    const count = this.#entries.indexAfter(through) - this.#entries.indexAfter(after);
    const entries = this.#entries.after(after).slice(0, Math.max(count, 0));
    return entries.filter(({ erased }) => !erased);
  }

  /** Whether all of its entries were stored before that time. False without an entry. */
  endsBefore(timeMs: number): boolean {
    const { last } = this.#entries;
    return last !== undefined && last.timeMs < timeMs;
  }

  /**
   * The last sequence stored before that time; `undefined` where the tail begins later, or ends before it:
   * the stream may have more then.
   */
  sequenceBefore(timeMs: number): number | undefined {
    const { first } = this.#entries;
    if (!first || first.timeMs >= timeMs) return undefined;
    const entry = this.#entries.at(this.#entries.indexAtTime(timeMs));
    return entry && entry.sequence - 1;
  }

  /** Matching entries after a sequence that must not be below `floor`, without those that have expired. */
  readEntries(patterns: PatternSet, after: number, limits: ReadLimits): Slice {
    const queues = this.#indexed(patterns);
    const slice = queues
      ? this.#readIndex(queues, after, limits)
      : this.#scan(patterns, after, limits);
    return filterEntries(slice, { types: patterns.types, nowMs: this.#wallMs() }, limits);
  }

  #indexed({ list }: PatternSet): EntryQueue[] | undefined {
    const queues = new Set<EntryQueue>();
    const budget = { left: INDEX_VISITS_MAX };
    for (const pattern of list) {
      const found = this.topics.find(pattern, budget);
      if (!found) return undefined;
      for (const { entries } of found) queues.add(entries);
      if (queues.size > INDEXED_TOPICS_MAX) return undefined;
    }
    return [...queues];
  }

  #readIndex(queues: readonly EntryQueue[], after: number, { eventsMax }: ReadLimits): Slice {
    const entries: EventEntry[] = [];
    for (const queue of queues) {
      const start = queue.indexAfter(after);
      const end = Math.min(queue.length, start + eventsMax);
      for (let index = start; index < end; index++) {
        const entry = queue.at(index);
        if (entry) entries.push(entry);
      }
    }
    if (queues.length > 1) entries.sort((left, right) => left.sequence - right.sequence);
    // With fewer entries than the limit in all, no topic was cut short.
    if (entries.length < eventsMax) return { entries, through: this.#head };
    entries.length = eventsMax;
    return { entries, through: entries.at(-1)?.sequence ?? this.#head };
  }

  #scan(patterns: PatternSet, after: number, { eventsMax, isOver }: ReadLimits): Slice {
    const entries: EventEntry[] = [];
    const start = this.#entries.indexAfter(after);
    let end = Math.min(this.#entries.length, start + SCAN_MAX);
    for (let index = start; index < end; index++) {
      if ((index - start) % SCAN_PART === SCAN_PART - 1 && isOver?.()) end = index + 1;
      const entry = this.#entries.at(index);
      if (!entry || !patterns.matches(entry.topic)) continue;
      entries.push(entry);
      if (entries.length === eventsMax) return { entries, through: entry.sequence };
    }
    const last = end === this.#entries.length ? undefined : this.#entries.at(end - 1);
    return { entries, through: last?.sequence ?? this.#head };
  }

  #evict(): void {
    const { bytesMax, eventsMax } = this.#limits;
    while (this.#entries.length > eventsMax || this.#bytes > bytesMax) {
      const entry = this.#entries.shift();
      if (!entry) return;
      this.#floor = entry.sequence;
      entry.endCharge();
      this.#evictFromTopic(entry.topic);
    }
  }

  #evictFromTopic(name: string): void {
    const topic = this.topics.get(name);
    topic?.entries.shift();
    if (topic?.entries.length !== 0) return;
    this.topics.delete(name);
    this.#bytes -= topic.chargedBytes;
  }
}

/** The entries that are shown. They are all read by then: to look at a type can make the tail give up entries. */
function filterEntries(
  slice: Slice,
  { types, nowMs }: { readonly types: TypeFilter | undefined; readonly nowMs: number },
  { isOver }: ReadLimits,
): Slice {
  const entries: EventEntry[] = [];
  for (const [index, entry] of slice.entries.entries()) {
    if (entry.expiresMs > nowMs && (types?.accepts(entry.type) ?? true)) entries.push(entry);
    const looks = index % JSON_PART === JSON_PART - 1 && index < slice.entries.length - 1;
    if (looks && isOver?.()) return { entries, through: entry.sequence };
  }
  return { entries, through: slice.through };
}
