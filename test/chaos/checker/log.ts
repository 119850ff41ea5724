import { matches } from '@tidemark/protocol';
import type { FinalRecord, FinalStore, StoredEvent } from '../history.ts';
import { Places } from './lineage.ts';
import { isAcknowledged, type Publications } from './publications.ts';

/** What the stream or an archive holds at the end. */
export interface Store {
  readonly bounds: FinalStore;
  readonly events: StoredEvent[];
}

/** Which topics, by their index, match one set of patterns. */
export type TopicFilter = Uint8Array;

const NO_TOPIC = -1;

/**
 * The log at the end of a run: every event that the stream or an archive holds. Where two of them differ,
 * the first one named counts. It also knows events that are gone: they were acknowledged, and retention
 * removed them before an archive had them. Columns are indexed by sequence, so that a scan of a range is cheap.
 */
export class FinalLog {
  readonly places: Places;
  readonly firstSequence = 1;
  readonly lastSequence: number;
  /** The first sequence that the stream holds. */
  readonly streamFirst: number;
  readonly #base = 1;
  /** Which sequences a store holds. */
  readonly #held: Uint8Array;
  readonly #topicIndex: Int32Array;
  readonly #ids: (string | undefined)[];
  readonly #timesMs: Float64Array;
  /** The earliest time at which the event can have been stored. */
  readonly #attemptMs: Float64Array;
  /** The latest time at which it can have been stored. */
  readonly #storedMs: Float64Array;
  readonly #topics: string[] = [];
  readonly #topicIndexes = new Map<string, number>();
  readonly #filters = new Map<string, TopicFilter>();

  constructor(stores: ReadonlyMap<string, Store>) {
    const stream = stores.get('stream');
    if (!stream) throw new Error('The final state has no store that is named stream.');
    this.places = new Places(stream.bounds);
    this.streamFirst = stream.bounds.firstSequence;
    const all = [...stores.values()].flatMap(({ events }) => events);
    const bound = all.reduce((last, { sequence }) => Math.max(last, sequence), 0);
    this.lastSequence = Math.max(bound, stream.bounds.lastSequence);
    const size = this.lastSequence - this.#base + 1;
    this.#held = new Uint8Array(size);
    this.#topicIndex = new Int32Array(size).fill(NO_TOPIC);
    this.#ids = new Array(size);
    this.#timesMs = new Float64Array(size);
    this.#attemptMs = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
    this.#storedMs = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
    this.#fill(all);
  }

  /** How many events it has. */
  get count(): number {
    return this.#held.reduce((count, held) => count + held, 0);
  }

  has(sequence: number): boolean {
    return this.#held[sequence - this.#base] === 1;
  }

  /** Whether no store holds an event there, and the stream no longer could. */
  hasLeft(sequence: number): boolean {
    return !this.has(sequence) && sequence < this.streamFirst;
  }

  idOf(sequence: number): string | undefined {
    return this.#ids[sequence - this.#base];
  }

  topicOf(sequence: number): string | undefined {
    return this.#topics[this.#topicIndex[sequence - this.#base] ?? NO_TOPIC];
  }

  timeMsOf(sequence: number): number {
    return this.#timesMs[sequence - this.#base] ?? 0;
  }

  /** The begin of its first attempt; -Infinity where nobody published it. */
  attemptMsOf(sequence: number): number {
    return this.#attemptMs[sequence - this.#base] ?? Number.NEGATIVE_INFINITY;
  }

  /** The first time at which a publisher knew that it was stored; infinite where none did. */
  storedMsOf(sequence: number): number {
    return this.#storedMs[sequence - this.#base] ?? Number.POSITIVE_INFINITY;
  }

  /** The topics that match one of the patterns. */
  filter(patterns: readonly string[]): TopicFilter {
    const key = patterns.join(',');
    let filter = this.#filters.get(key);
    if (!filter) {
      filter = Uint8Array.from(this.#topics, (topic) =>
        patterns.some((pattern) => matches(pattern, topic)) ? 1 : 0,
      );
      this.#filters.set(key, filter);
    }
    return filter;
  }

  isMatch(filter: TopicFilter, sequence: number): boolean {
    return filter[this.#topicIndex[sequence - this.#base] ?? NO_TOPIC] === 1;
  }

  /** The first matching sequence after `after`, up to and including `through`; 0 where there is none. */
  nextMatch(filter: TopicFilter, after: number, through: number): number {
    const last = Math.min(through, this.lastSequence);
    for (let sequence = Math.max(after + 1, this.#base); sequence <= last; sequence++) {
      if (this.has(sequence) && this.isMatch(filter, sequence)) return sequence;
    }
    return 0;
  }

  /** As `nextMatch`, among the events that are gone too. */
  nextKnown(filter: TopicFilter, after: number, through: number): number {
    const last = Math.min(through, this.lastSequence);
    for (let sequence = Math.max(after + 1, this.#base); sequence <= last; sequence++) {
      if (this.isMatch(filter, sequence)) return sequence;
    }
    return 0;
  }

  /** How many sequences of a range no store holds: deleted, expired or never events. */
  countUnknown(after: number, through: number): number {
    const last = Math.min(through, this.lastSequence);
    let unknown = Math.max(0, Math.min(last, this.#base - 1) - after);
    for (let sequence = Math.max(after + 1, this.#base); sequence <= last; sequence++) {
      if (!this.has(sequence)) unknown++;
    }
    return unknown;
  }

  /** The index of a topic's events: the sequences of each topic, ascending. */
  byTopic(): Map<string, number[]> {
    const found = new Map<string, number[]>();
    for (let sequence = this.firstSequence; sequence <= this.lastSequence; sequence++) {
      const topic = this.topicOf(sequence);
      if (topic === undefined) continue;
      const sequences = found.get(topic);
      if (sequences) sequences.push(sequence);
      else found.set(topic, [sequence]);
    }
    return found;
  }

  /** Takes the events that were acknowledged and are gone. It comes before the first filter. */
  learnGone(publications: Publications): void {
    for (const publication of publications) {
      const { attempt, answer } = publication;
      if (!isAcknowledged(publication) || !answer?.cursor) continue;
      const { sequence, lost, foreign } = this.places.find(answer.cursor);
      if (!lost && !foreign && this.hasLeft(sequence)) this.#put(sequence, attempt);
    }
  }

  /** Takes the times of the attempts and of the answers that name an event's own sequence. */
  learnTimes(publications: Publications): void {
    for (let sequence = this.firstSequence; sequence <= this.lastSequence; sequence++) {
      const id = this.idOf(sequence);
      const event = id === undefined ? undefined : publications.events.get(id);
      const [first] = event?.publications ?? [];
      if (first) this.#attemptMs[sequence - this.#base] = first.attempt.atMs;
    }
    for (const publication of publications) {
      const { cursor, atMs = 0 } = publication.answer ?? {};
      if (!isAcknowledged(publication) || !cursor) continue;
      const { sequence, lost, foreign } = this.places.find(cursor);
      if (lost || foreign || this.idOf(sequence) !== publication.attempt.id) continue;
      const index = sequence - this.#base;
      this.#storedMs[index] = Math.min(atMs, this.#storedMs[index] ?? atMs);
    }
  }

  #fill(events: readonly StoredEvent[]): void {
    for (const event of events) {
      const { sequence, timeMs } = event;
      if (this.has(sequence)) continue;
      this.#put(sequence, event);
      this.#held[sequence - this.#base] = 1;
      this.#timesMs[sequence - this.#base] = timeMs;
    }
  }

  #put(sequence: number, { topic, id }: { readonly topic: string; readonly id: string }): void {
    let index = this.#topicIndexes.get(topic);
    if (index === undefined) {
      index = this.#topics.push(topic) - 1;
      this.#topicIndexes.set(topic, index);
    }
    this.#topicIndex[sequence - this.#base] = index;
    this.#ids[sequence - this.#base] = id;
  }
}

/** Reads the final state. The stream comes first, whatever the order of the records. */
export function readStores(records: Iterable<FinalRecord>): Map<string, Store> {
  const found = new Map<string, Store>();
  for (const record of records) {
    if (record.kind === 'store') found.set(record.store, { bounds: record, events: [] });
    else found.get(record.store)?.events.push(record);
  }
  const first = [...found].filter(([name]) => name === 'stream');
  return new Map([...first, ...found]);
}
