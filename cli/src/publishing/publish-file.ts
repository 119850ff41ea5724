import { CliError } from '../base/errors.ts';
import type { Api } from '../http/api.ts';
import type { FileRecord } from '../input/records.ts';
import { type Item, type Outcome, sendBatch } from './batch-sender.ts';
import { type Defaults, toItem } from './items.ts';
import type { Journal, Progress } from './journal.ts';
import { findStored, keyOf } from './stored-ids.ts';

const BATCH_EVENTS = 500;
const BATCH_BYTES = 256 * 1024;

/** After that long the stream may no longer recognise a repeat; half of the least usual window. */
const FRESH_MS = 5 * 60_000;

/** What publishing a file needs. */
export interface FilePublish {
  readonly api: Api;
  readonly records: AsyncIterable<FileRecord>;
  readonly defaults: Defaults;
  /** The name that ids follow from; `undefined`: random ids. */
  readonly file: string | undefined;
  readonly journal: Journal | undefined;
  /** Where an earlier run ended. */
  readonly from: Progress | undefined;
  /** Most refused lines before it stops. */
  readonly errorsMax: number;
  /** Keeps what was refused, before it is noted that it was. */
  readonly keep: (outcomes: readonly Outcome[]) => void;
  readonly onOutcomes: (outcomes: readonly Outcome[], counts: Counts) => Promise<void>;
  readonly warn: (text: string) => void;
}

/** How many lines became what. */
export interface Counts {
  stored: number;
  duplicates: number;
  refused: number;
}

/** Publishes records in their order, a batch at a time. Holds one batch. @throws CliError */
export async function publishRecords(options: FilePublish): Promise<Counts> {
  const publishing = new RecordPublishing(options);
  for await (const record of options.records) await publishing.take(record);
  return publishing.end();
}

class RecordPublishing {
  readonly #options: FilePublish;
  readonly #counts: Counts;
  #items: Item[] = [];
  #faults: Outcome[] = [];
  #bytes = 0;
  #line = 0;
  #hasSent = false;
  /** The first batch after an abort long ago may have been stored. */
  #isDoubtful: boolean;

  constructor(options: FilePublish) {
    const { from } = options;
    this.#options = options;
    this.#counts = { stored: from?.stored ?? 0, duplicates: 0, refused: from?.refused ?? 0 };
    this.#isDoubtful = from !== undefined && Date.now() - from.atMs > FRESH_MS;
  }

  async take(record: FileRecord): Promise<void> {
    const { defaults, file, from } = this.#options;
    const { line } = record;
    if (line <= (from?.line ?? 0)) return;
    this.#line = line;
    if ('fault' in record) {
      const { fault, text } = record;
      const error = { code: 'invalid_line', message: fault };
      this.#faults.push({ line, error, ...(text !== undefined && { text }) });
    } else {
      const item = toItem(record, defaults, file);
      this.#items.push(item);
      this.#bytes += item.json.length;
    }
    const isFull = this.#items.length >= BATCH_EVENTS || this.#bytes >= BATCH_BYTES;
    if (isFull || this.#faults.length >= BATCH_EVENTS) await this.#flush();
  }

  async end(): Promise<Counts> {
    await this.#flush();
    this.#options.journal?.remove();
    return this.#counts;
  }

  async #flush(): Promise<void> {
    const { api, from, keep, onOutcomes, errorsMax } = this.#options;
    // Who comes back long after a kill has to learn that the first batch was under way.
    if (!this.#hasSent && from === undefined) this.#note(0);
    const items = this.#isDoubtful ? await this.#withoutStored(this.#items) : this.#items;
    this.#isDoubtful = false;
    const outcomes = [
      ...this.#faults,
      ...(await sendBatch({ api, isFirst: !this.#hasSent }, items)),
    ];
    if (items.length > 0) this.#hasSent = true;
    outcomes.sort((left, right) => left.line - right.line);
    this.#items = [];
    this.#faults = [];
    this.#bytes = 0;
    for (const outcome of outcomes) this.#count(outcome);
    keep(outcomes);
    // Noted first: a reader of the output that has gone ends the process.
    this.#note(this.#line);
    await onOutcomes(outcomes, this.#counts);
    const { refused } = this.#counts;
    if (refused > errorsMax) {
      throw new CliError(`It stops after ${refused} refused lines; --max-errors allows more.`);
    }
  }

  #note(line: number): void {
    const { stored, refused } = this.#counts;
    this.#options.journal?.write({ line, stored, refused, atMs: Date.now() });
  }

  #count(outcome: Outcome): void {
    if ('error' in outcome) this.#counts.refused++;
    else {
      this.#counts.stored++;
      if (outcome.duplicate) this.#counts.duplicates++;
    }
  }

  async #withoutStored(items: readonly Item[]): Promise<Item[]> {
    const found = await findStored(this.#options.api, items);
    if (found === undefined) {
      const last = items.at(-1)?.line;
      this.#options.warn(
        `The history does not say whether the lines up to ${last} are stored: they may come twice.`,
      );
      return [...items];
    }
    const left = items.filter((item) => !found.has(keyOf(item)));
    const known = items.length - left.length;
    this.#counts.stored += known;
    this.#counts.duplicates += known;
    return left;
  }
}
