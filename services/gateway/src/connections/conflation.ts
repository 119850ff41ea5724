import { Entry } from '../log/event-entry.ts';

/** Topics of which the newest event is kept at a time; with more, the oldest kept go out early. */
export const NEWEST_TOPICS_MAX = 1024;

/** Bytes of JSON kept at a time, likewise. */
const NEWEST_BYTES_MAX = 4 * 1024 * 1024;

/** Events passed over that are remembered for counting, before what is kept goes out. */
const PASSED_MAX = 65_536;

/** What is remembered of an event that was passed over: not its bytes. */
export type Passed = Pick<Entry, 'sequence' | 'topic'>;

/**
 * The newest event of each topic in a part of the log, for subscriptions that want no more than
 * that while they are behind. It exists only while the connection takes bytes: what is not sent by
 * then is found again from the position.
 */
export class Newest {
  // A topic that comes again moves to the end, so that the order is that of the stream.
  readonly #entries = new Map<string, Entry>();
  readonly #passed: Passed[] = [];
  #bytes = 0;
  #through: number;

  constructor(position: number) {
    this.#through = position;
  }

  /** Everything up to here has been looked at. */
  get through(): number {
    return this.#through;
  }

  get size(): number {
    return this.#entries.size;
  }

  get full(): boolean {
    if (this.#bytes >= NEWEST_BYTES_MAX) return true;
    return this.#entries.size >= NEWEST_TOPICS_MAX || this.#passed.length >= PASSED_MAX;
  }

  /** In stream order. */
  get entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  /** Events for which a newer one of their topic is kept, in the order in which that one came. */
  get passed(): readonly Passed[] {
    return this.#passed;
  }

  /** @param isOwn whether the entries are not parts of a page, which what is kept would keep whole */
  add(entries: readonly Entry[], through: number, isOwn: boolean): void {
    for (const entry of entries) {
      const older = this.#entries.get(entry.topic);
      if (older) {
        this.#entries.delete(entry.topic);
        this.#bytes -= older.json.length;
        this.#passed.push({ sequence: older.sequence, topic: older.topic });
      }
      this.#entries.set(entry.topic, entry);
      this.#bytes += entry.json.length;
    }
    this.#through = through;
    if (isOwn) return;
    for (const entry of entries) {
      if (this.#entries.get(entry.topic) === entry) this.#entries.set(entry.topic, copyOf(entry));
    }
  }
}

function copyOf(entry: Entry): Entry {
  const { topic, timeMs, json, receipt } = entry;
  return new Entry(entry, { topic, timeMs, json: new Uint8Array(json) }, receipt);
}
