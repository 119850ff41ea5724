import { type NatsLink, OrderedConsumer, readStreamState } from '@tidemark/nats';
import { isLiteral, type LogBounds, toSubject } from '@tidemark/protocol';
import { EventEntry } from '../log/event-entry.ts';
import type { PatternSet } from '../log/pattern-set.ts';
import type { Slice } from '../log/tail.ts';
import type { ColdQuery, StreamTier } from './cold-reads.ts';
import { decodeRecord } from './decoding.ts';

/** Most bytes of JSON in one read. */
const READ_BYTES_MAX = 4 * 1024 * 1024;

export interface TierOptions {
  readonly link: NatsLink;
  readonly timeoutMs: number;
}

/**
 * Reads ranges of the stream, each with an ordered consumer that is deleted after the read.
 * `ColdReads` bounds how many exist at once.
 */
export class StreamReader implements StreamTier {
  readonly #link: NatsLink;
  readonly #timeoutMs: number;

  constructor({ link, timeoutMs }: TierOptions) {
    this.#link = link;
    this.#timeoutMs = timeoutMs;
  }

  get connected(): boolean {
    return this.#link.connected;
  }

  async bounds(): Promise<LogBounds> {
    const state = await readStreamState(this.#link);
    if (!state) throw new Error('There is no stream.');
    return state;
  }

  readSlice(query: ColdQuery): Promise<Slice> {
    const { epoch, patterns, after, through, eventsMax } = query;
    const entries: EventEntry[] = [];
    let bytes = 0;
    return this.#consume({ after }, this.#subjects(patterns), (record, pending) => {
      if (record.sequence > through) return { entries, through };
      const decoded = decodeRecord(record);
      if (decoded.valid && patterns.matches(decoded.event.topic)) {
        entries.push(new EventEntry(epoch, decoded.event));
        bytes += decoded.event.json.length;
      }
      const full = entries.length >= eventsMax || bytes >= READ_BYTES_MAX;
      if (full && record.sequence < through) return { entries, through: record.sequence };
      return pending === 0 ? { entries, through } : undefined;
    }).then((slice) => slice ?? { entries, through });
  }

  async sequenceBefore(timeMs: number): Promise<number> {
    const { lastSequence } = await this.bounds();
    const before = await this.#consume({ timeMs }, [], ({ sequence }) => sequence - 1);
    return before ?? lastSequence;
  }

  /**
   * Reads until `onRecord` returns a result.
   *
   * @returns the result; `undefined` when nothing in the range matches
   */
  #consume<T>(
    start: ConstructorParameters<typeof OrderedConsumer>[1]['start'],
    subjects: readonly string[],
    onRecord: (record: Parameters<typeof decodeRecord>[0], pending: number) => T | undefined,
  ): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const end = (act: () => void): void => {
        clearTimeout(timer);
        consumer.close();
        act();
      };
      const timeoutMs = this.#timeoutMs;
      const timer = setTimeout(() => {
        end(() => reject(new Error(`The read did not end within ${timeoutMs} ms.`)));
      }, timeoutMs);
      const consumer = new OrderedConsumer(this.#link, {
        start,
        subjects,
        timeoutMs,
        onRecord: (record, { pending }) => {
          const result = onRecord(record, pending);
          if (result !== undefined) end(() => resolve(result));
        },
        onLost: (reason) => end(() => reject(new Error(reason))),
      });
      consumer.open().then(
        (matching) => {
          if (matching === 0) end(() => resolve(undefined));
        },
        (error) => end(() => reject(error)),
      );
    });
  }

  /** The narrowest filter that the server accepts. It refuses filters that overlap. */
  #subjects({ list }: PatternSet): readonly string[] {
    const separate = list.length === 1 || list.every(isLiteral);
    return separate ? list.map(toSubject) : [];
  }
}
