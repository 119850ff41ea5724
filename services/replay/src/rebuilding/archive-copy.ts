import type { ArchivedEvent } from '@tidemark/protocol';
import type { Archive } from '../archive/archive.ts';
import { isEmpty, type LogRange } from '../sqlite/log-range.ts';
import { type IndexedEvent, toIndexed } from '../sqlite/writer.ts';

/** One step copies at most this much, which takes some 5 ms. */
const STEP_EVENTS_MAX = 100;
const STEP_BYTES_MAX = 128 * 1024;

/** Copies one archive to the end of another one, which holds the first part of the same log. */
export class ArchiveCopy {
  readonly #from: Archive;
  readonly #to: Archive;
  /** Events whose content could not be read. They are noted as missing, so that another archive can give them. */
  unreadable = 0;

  constructor(from: Archive, to: Archive) {
    this.#from = from;
    this.#to = to;
  }

  /**
   * Copies the next part. What is indexed of an event is read from its content again.
   *
   * @param through the last sequence to be copied
   * @returns whether there is more
   * @throws the error of SQLite, such as on a full disk
   */
  step(through: number): boolean {
    const after = this.#to.bounds?.lastSequence ?? 0;
    const range = { after, through };
    if (isEmpty(range)) return false;
    const { events, remaining } = this.#from
      .select({ patterns: ['>'] }, after + 1)
      .readPage({ ...range, order: 'asc', eventsMax: STEP_EVENTS_MAX, bytesMax: STEP_BYTES_MAX });
    const end = isEmpty(remaining) ? through : remaining.after;
    const missing = this.#from.missingRanges({ after, through: end });
    const readable = events.flatMap((event) => readAgain(event) ?? []);
    const unreadable = this.#unreadableRows({ after, through: end }, readable);
    this.unreadable += unreadable.length;
    missing.push(...unreadable.map((sequence) => ({ from: sequence, to: sequence })));
    this.#to.appendEvents(readable, missing, end);
    return end < through;
  }

  /** Rows of a part that was read which gave no event: their content is none, or a name that they point to is gone. */
  #unreadableRows(part: LogRange, readable: readonly IndexedEvent[]): number[] {
    const read = new Set(readable.map(({ sequence }) => sequence));
    const rows = this.#from.rowsOf(part);
    return rows.filter((sequence) => !read.has(sequence) && !this.#from.isHidden(sequence));
  }
}

function readAgain({ sequence, timeMs, json }: ArchivedEvent): IndexedEvent | undefined {
  try {
    const event = toIndexed({ sequence, timeMs, json });
    const { topic, type, source } = event;
    return [topic, type, source].every((name) => typeof name === 'string') ? event : undefined;
  } catch {
    return undefined;
  }
}
