import type { SequenceRange } from '@tidemark/protocol';
import type { History } from './history.ts';
import { isSameView, type LogVersion, type StoredRecord } from './versions.ts';
import { ensure } from './violation.ts';

/** The part of the world that tells what is left. */
interface Left {
  readonly history: History;
  gone(record: StoredRecord): boolean;
}

/** As of when they are the last ones. */
interface LastStart {
  readonly through: number;
  readonly version: LogVersion;
  readonly askedMs: number;
}

/** The last events that a reader waits for, before those after its start. */
export class AwaitedLast {
  /** They are the newest ones up to this sequence. */
  readonly through: number;
  readonly #reader: { readonly id: string; matches(record: StoredRecord): boolean };
  /** The log as it was known when they began to come. */
  readonly #version: LogVersion;
  readonly #askedMs: number;
  /** The one that came, by topic. */
  readonly #came = new Map<string, StoredRecord>();
  /** What the archive lacked, and told. */
  readonly #lost: SequenceRange[] = [];
  /** The sequence of the one that came before. */
  #before = 0;

  constructor(
    reader: { readonly id: string; matches(record: StoredRecord): boolean },
    { through, version, askedMs }: LastStart,
  ) {
    this.#reader = reader;
    this.through = through;
    this.#version = version;
    this.#askedMs = askedMs;
  }

  receive(record: StoredRecord): void {
    const { sequence, topic } = record;
    const { id } = this.#reader;
    const isWanted = this.#reader.matches(record) && sequence <= this.through;
    ensure(isWanted, 'last', () => `${id} got ${sequence} ${topic} as of ${this.through}`);
    ensure(sequence > this.#before, 'last', () => `${id} got ${sequence} after ${this.#before}`);
    ensure(!this.#came.has(topic), 'last', () => `${id} got two last events of ${topic}`);
    this.#came.set(topic, record);
    this.#before = sequence;
  }

  passGap(range: SequenceRange): void {
    this.#lost.push(range);
  }

  /** Called for whatever comes behind them: all must have come then. */
  check(left: Left, version: LogVersion): void {
    const { history } = left;
    // A log that lost its end meanwhile tells that by a gap, or has another state of each topic.
    if (!isSameView(this.#version, version) || !isSameView(version, history.version)) return;
    for (const [topic, record] of this.#newest(history, version)) {
      const came = this.#came.get(topic);
      // One that is erased may have come all the same, for a moment.
      const isErased = came ? came.erasedBy !== undefined : this.#wasNewer(history, record);
      const right = came === record || isErased || left.gone(record);
      ensure(right, 'last', () => {
        return `${this.#reader.id} got ${came?.sequence} of ${topic}, and the last as of ${this.through} is ${record.sequence}`;
      });
    }
  }

  /** Whether the topic had a newer event that was found, and erased before it was read. */
  #wasNewer(history: History, { topic, sequence }: StoredRecord): boolean {
    for (const newer of history.range(this.#version, sequence, this.through)) {
      const { erasedBy, goneMs = Number.POSITIVE_INFINITY } = newer;
      const isFound = erasedBy !== undefined && goneMs >= this.#askedMs;
      if (newer.topic === topic && this.#reader.matches(newer) && isFound) return true;
    }
    return false;
  }

  #newest(history: History, version: LogVersion): Map<string, StoredRecord> {
    const newest = new Map<string, StoredRecord>();
    for (const record of history.range(version, 0, this.through)) {
      const { sequence, topic, erasedBy } = record;
      const isLost = this.#lost.some(({ from, to }) => sequence >= from && sequence <= to);
      if (this.#reader.matches(record) && !isLost && !erasedBy) newest.set(topic, record);
    }
    return newest;
  }
}
