import type { DictionaryEntry } from '../sqlite/dictionary.ts';
import type { EventTable } from '../sqlite/event-table.ts';
import type { KeyIndex } from '../sqlite/key-index.ts';
import { emptyRest, isEmpty, type LogRange, restBehind, restFrom } from '../sqlite/log-range.ts';
import type { Filter } from './filters.ts';
import { KeyMerge } from './key-merge.ts';
import { PageBuilder, type ReadRequest, type SelectionPage } from './page-builder.ts';

/** Rows that one synchronous step looks at, so that it ends within some 10 ms. */
export const STEP_ROWS_MAX = 3000;

/** What it costs to seek one key and to follow one entry of its index, in rows of a scan. */
const SEEK_COST = 4;
const FOLLOW_COST = 3;

/** Most topics whose whole events are read ahead. With more, too many would be read in vain. */
const EVENT_KEYS_MAX = 8;

/** A filter whose names are known, and what it costs to read all their events. */
interface DrivingFilter extends Filter {
  readonly entries: readonly DictionaryEntry[];
  readonly cost: number;
}

/**
 * The events that pass some filters. It knows the names as they were when it was made, so it is
 * complete up to the archive's last sequence of that time.
 *
 * There are two ways to read. The *scan* walks the events by sequence and checks each. The *merge*
 * follows the index of the driving filter, which is the one with the fewest events, and checks the
 * other filters. Each read takes the cheaper way. A step looks at `STEP_ROWS_MAX` rows at most and returns
 * what remains, so the caller decides when to continue.
 *
 * Two cores, 1,000,000 events of 270 bytes on 50,000 topics: everything is scanned at 570,000 rows
 * a second; 200 events of one topic take 0.4 ms, 200 of ten topics 0.5 ms.
 */
export class Selection {
  readonly #table: EventTable;
  readonly #index: KeyIndex;
  readonly #filters: readonly Filter[];
  readonly #end: () => number;

  /** @param options `end`: the last sequence that may be read now */
  constructor(
    table: EventTable,
    index: KeyIndex,
    { filters, end }: { readonly filters: readonly Filter[]; readonly end: () => number },
  ) {
    this.#table = table;
    this.#index = index;
    this.#filters = filters;
    this.#end = end;
  }

  /** Makes one synchronous step through a range. */
  readPage(request: ReadRequest): SelectionPage {
    const through = Math.min(request.through, this.#end());
    return this.#table.readConsistently(() => this.#step({ ...request, through }));
  }

  #step(request: ReadRequest): SelectionPage {
    const { order } = request;
    const nothing: SelectionPage = { events: [], remaining: emptyRest(request, order) };
    if (isEmpty(request) || this.#filters.some(({ entries }) => entries?.length === 0)) {
      return nothing;
    }
    const driving = this.#drivingFilter();
    if (driving && driving.cost < request.through - request.after) {
      const { column, entries } = driving;
      const isAlone = this.#filters.length === 1 && column === 'topic';
      if (isAlone && entries.length <= EVENT_KEYS_MAX) return this.#mergeEvents(request, entries);
      return this.#merge(request, driving);
    }
    // It begins at the first event of the range, so a range that the archive never received costs nothing.
    const first = this.#table.firstSequence(request, order);
    if (first === undefined) return nothing;
    const part =
      order === 'asc'
        ? { after: first - 1, through: Math.min(request.through, first - 1 + STEP_ROWS_MAX) }
        : { after: Math.max(request.after, first - STEP_ROWS_MAX), through: first };
    return this.#filters.length > 0 ? this.#scan(request, part) : this.#scanAll(request, part);
  }

  /** The filter whose index is cheapest to follow. */
  #drivingFilter(): DrivingFilter | undefined {
    let best: DrivingFilter | undefined;
    for (const filter of this.#filters) {
      const { entries } = filter;
      if (!entries) continue;
      const cost = entries.reduce((sum, { count }) => sum + SEEK_COST + FOLLOW_COST * count, 0);
      if (!best || cost < best.cost) best = { ...filter, entries, cost };
    }
    return best;
  }

  #scanAll(request: ReadRequest, part: LogRange): SelectionPage {
    const page = new PageBuilder(request);
    for (const event of this.#table.scanEvents(part, request.order)) {
      if (!page.appendEvent(event)) break;
    }
    return page.finishPage(restBehindPart(request, part));
  }

  #scan(request: ReadRequest, part: LogRange): SelectionPage {
    const page = new PageBuilder(request);
    for (const keys of this.#table.scanKeys(part, request.order)) {
      if (!this.#filters.every(({ accepts }) => accepts(keys))) continue;
      if (!page.appendEvent(this.#table.readEvent(keys.sequence))) break;
    }
    return page.finishPage(restBehindPart(request, part));
  }

  #merge(request: ReadRequest, { column, entries }: DrivingFilter): SelectionPage {
    const { order, eventsMax } = request;
    const others = this.#filters.filter((filter) => filter.column !== column);
    const reader = this.#index.sequenceReader(column, order);
    const merge = new KeyMerge(reader, { keys: entries, range: request, order, wanted: eventsMax });
    const page = new PageBuilder(request);
    let looked = 0;
    for (let batch = merge.nextBatch(); batch.length > 0; batch = merge.nextBatch()) {
      for (const sequence of batch) {
        const rest = restFrom(request, sequence, order);
        if (++looked > STEP_ROWS_MAX) return page.finishPage(rest);
        if (!this.#passes(sequence, others)) continue;
        if (!page.appendEvent(this.#table.readEvent(sequence))) return page.finishPage(rest);
      }
    }
    return page.finishPage(emptyRest(request, order));
  }

  #mergeEvents(request: ReadRequest, keys: readonly DictionaryEntry[]): SelectionPage {
    const { order, eventsMax } = request;
    const reader = this.#index.eventReader(order);
    const merge = new KeyMerge(reader, { keys, range: request, order, wanted: eventsMax });
    const page = new PageBuilder(request);
    let looked = 0;
    for (let batch = merge.nextBatch(); batch.length > 0; batch = merge.nextBatch()) {
      for (const event of batch) {
        const rest = restFrom(request, event.sequence, order);
        if (++looked > STEP_ROWS_MAX || !page.appendEvent(event)) return page.finishPage(rest);
      }
    }
    return page.finishPage(emptyRest(request, order));
  }

  #passes(sequence: number, filters: readonly Filter[]): boolean {
    if (filters.length === 0) return true;
    const keys = this.#table.readKeys(sequence);
    return filters.every(({ accepts }) => accepts(keys));
  }
}

/** What remains of a range behind the part that was looked at. */
function restBehindPart(request: ReadRequest, part: LogRange): LogRange {
  const last = request.order === 'asc' ? part.through : part.after + 1;
  return restBehind(request, last, request.order);
}
