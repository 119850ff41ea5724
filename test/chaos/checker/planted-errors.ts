import { expect } from 'vitest';
import type {
  EventRecord,
  FinalRecord,
  HistoryRecord,
  PublishAnswer,
  PublishAttempt,
  ReadRecord,
  StoredEvent,
} from '../history.ts';
import { check } from './check.ts';
import { fakeRun, type RecordedRun } from './fake-run.ts';

/*
 * Ways to find a place for an error in a recorded run, and to put it there. Client `c2` has one
 * subscription with `deliver: "all"`, and `c1` one to all topics with `deliver: "latest"`.
 */

/** Runs that have a place for each error. */
const SEEDS = [3, 8, 21, 34];
const SEEDS_WITH_LOSSES = [3, 11, 14, 20];

/** The first epoch of a recorded run. */
export const EPOCH = 'm4x1k2';

/** An error, and what the report has to say about it. */
export interface Planted {
  readonly error: string;
  plant(run: PlantedRun): void;
  /** The name of the promise that is broken. */
  readonly named: string;
  /** Promises that the same error may have broken even before. */
  readonly before?: readonly string[];
  /** Whether it takes a run that lost parts of its log. */
  readonly losses?: boolean;
}

/** Checks that the first violation is the planted one, in several runs. */
export function finds({ plant, named, before = [], losses = false }: Planted): void {
  for (const seed of losses ? SEEDS_WITH_LOSSES : SEEDS) {
    const run = new PlantedRun(fakeRun({ seed, losses }));
    plant(run);
    const report = check({ records: () => run.records, final: () => run.final });
    const text = report.first?.timeline.join('\n');
    expect([named, ...before], `seed ${seed}: ${text}`).toContain(report.first?.check);
    expect(Object.keys(report.violations)).toContain(named);
    expect(text).toContain('>>>');
  }
}

type Kind = HistoryRecord['kind'];
/** Pages and exports share a type, which `Extract` does not find by one of their kinds. */
type RecordOf<K extends Kind> = K extends ReadRecord['kind']
  ? ReadRecord
  : Extract<HistoryRecord, { kind: K }>;

/** A run that can be changed, and what stands where in it. */
export class PlantedRun {
  readonly records: HistoryRecord[];
  final: FinalRecord[];

  constructor({ records, final }: RecordedRun) {
    this.records = structuredClone(records);
    this.final = structuredClone(final);
  }

  /** The records of a kind, with the numbers of their lines. */
  all<K extends Kind>(
    kind: K,
    isRight: (record: RecordOf<K>, line: number) => boolean = () => true,
  ) {
    return this.records.flatMap((record, line) => {
      if (record.kind !== kind) return [];
      const right = record as RecordOf<K>;
      return isRight(right, line) ? [{ record: right, line }] : [];
    });
  }

  /** The record in the middle of those that are right. */
  middle<K extends Kind>(
    kind: K,
    isRight: (record: RecordOf<K>, line: number) => boolean = () => true,
  ) {
    const found = this.all(kind, isRight);
    const middle = found[found.length >> 1];
    if (!middle) throw new Error(`The run has no such ${kind}.`);
    return middle;
  }

  change<K extends Kind>(place: { record: RecordOf<K>; line: number }, fields: object): void {
    this.records[place.line] = { ...place.record, ...fields } as HistoryRecord;
  }

  insertAfter(line: number, record: HistoryRecord): void {
    this.records.splice(line + 1, 0, record);
  }

  remove(line: number): void {
    this.records.splice(line, 1);
  }

  keep(isRight: (record: HistoryRecord) => boolean): void {
    this.records.splice(0, this.records.length, ...this.records.filter(isRight));
  }

  /** What arrives next on the same connection. */
  nextOf(line: number): HistoryRecord | undefined {
    const { connection } = this.records[line] as EventRecord;
    return this.records
      .slice(line + 1)
      .find((one) => 'connection' in one && one.connection === connection);
  }

  /** An event of a client that is followed by another one on its connection. */
  eventOf(client: string) {
    return this.middle('event', ({ connection }, line) => {
      return connection.startsWith(`${client}/`) && this.nextOf(line)?.kind === 'event';
    });
  }

  /** A page in ascending order with several items. */
  page() {
    return this.middle('page', ({ items, order }) => items.length > 4 && order === 'asc');
  }

  /** The answer to an attempt, and the attempt. */
  publication(isRight: (answer: PublishAnswer, attempt: PublishAttempt) => boolean) {
    const attempts = new Map(this.all('publish-attempt').map((one) => [one.record.attempt, one]));
    const answer = this.middle('publish-answer', (record) => {
      const attempt = attempts.get(record.attempt)?.record;
      return attempt !== undefined && isRight(record, attempt);
    });
    const attempt = attempts.get(answer.record.attempt);
    if (!attempt) throw new Error('An answer has an attempt.');
    return { answer, attempt };
  }

  /** The events of the log at the end, which each archive has. */
  get stored(): StoredEvent[] {
    return this.final.filter((one) => one.kind === 'stored' && one.store === 'replay-1') as never;
  }

  /** The first sequence that the stream holds at the end. */
  get streamFirst(): number {
    const [stream] = this.final;
    return stream?.kind === 'store' ? stream.firstSequence : 0;
  }

  /** Changes the events of the final stores. `undefined` removes one. */
  changeStored(change: (event: StoredEvent) => StoredEvent | undefined): void {
    this.final = this.final.flatMap((one) => {
      const changed = one.kind === 'stored' ? change(one) : one;
      return changed ? [changed] : [];
    });
  }
}

/** The items of a page without one. */
export function without({ items }: ReadRecord, index: number): ReadRecord['items'] {
  return items.filter((_, at) => at !== index);
}

/** The number in a cursor of a run without losses. */
export function sequenceOf(cursor: string | null | undefined): number {
  return Number(cursor?.split('-')[1]);
}
