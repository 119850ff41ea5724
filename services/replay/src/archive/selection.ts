import type { Entry } from './dictionary.ts';
import type { EventTable } from './event-table.ts';
import type { Facet } from './facets.ts';
import { type KeyIndex, KeyMerge } from './key-merge.ts';
import { Take } from './take.ts';
import {
  beyond,
  from,
  isEmpty,
  nothingOf,
  type Range,
  type Slice,
  type Window,
} from './windows.ts';

/** Rows that one synchronous step looks at, so that it ends within some 10 ms. */
export const STEP_ROWS_MAX = 3000;

/** What it costs to seek one key and to follow one entry of its index, in rows of a scan. */
const SEEK_COST = 4;
const FOLLOW_COST = 3;

/** Topics whose whole events are read at once; with more, too many would be read in vain. */
const ROW_KEYS_MAX = 8;

interface Lead {
  readonly facet: Facet & Required<Pick<Facet, 'entries'>>;
  readonly cost: number;
}

/**
 * The events that meet some conditions. It knows the names as they were when it was made, so it is
 * complete up to the archive's position of that time.
 *
 * There are two ways to read. The *scan* walks the events by sequence and checks each. The *merge*
 * takes the condition with the fewest events, follows its index and checks the others. The
 * cheaper one is taken. Either way a step looks at `STEP_ROWS_MAX` rows at most and says what
 * remains, so the caller decides when to go on.
 *
 * Two cores, 1,000,000 events of 270 bytes on 50,000 topics: everything is scanned at 570,000 rows
 * a second; 200 events of one topic take 0.4 ms, 200 of ten topics 0.5 ms.
 */
export class Selection {
  readonly #table: EventTable;
  readonly #index: KeyIndex;
  readonly #facets: readonly Facet[];

  constructor(table: EventTable, index: KeyIndex, facets: readonly Facet[]) {
    this.#table = table;
    this.#index = index;
    this.#facets = facets;
  }

  /** One synchronous step through the window. */
  read(window: Window): Slice {
    return this.#table.snapshot(() => this.#step(window));
  }

  #step(window: Window): Slice {
    const { order } = window;
    const nothing: Slice = { rows: [], remaining: nothingOf(window, order) };
    if (isEmpty(window) || this.#facets.some(({ entries }) => entries?.length === 0)) {
      return nothing;
    }
    const lead = this.#lead();
    if (lead && lead.cost < window.through - window.after) {
      const { column, entries } = lead.facet;
      const isAlone = this.#facets.length === 1 && column === 'topic';
      if (isAlone && entries.length <= ROW_KEYS_MAX) return this.#mergeRows(window, entries);
      return this.#merge(window, lead.facet);
    }
    // From the first event there is: a range that the archive never got costs nothing.
    const first = this.#table.first(window, order);
    if (first === undefined) return nothing;
    const part =
      order === 'asc'
        ? { after: first - 1, through: Math.min(window.through, first - 1 + STEP_ROWS_MAX) }
        : { after: Math.max(window.after, first - STEP_ROWS_MAX), through: first };
    return this.#facets.length > 0 ? this.#scan(window, part) : this.#scanAll(window, part);
  }

  /** The condition that is cheapest to follow. */
  #lead(): Lead | undefined {
    let best: Lead | undefined;
    for (const facet of this.#facets) {
      const { entries } = facet;
      if (!entries) continue;
      const cost = entries.reduce((sum, { count }) => sum + SEEK_COST + FOLLOW_COST * count, 0);
      if (!best || cost < best.cost) best = { facet: { ...facet, entries }, cost };
    }
    return best;
  }

  #scanAll(window: Window, part: Range): Slice {
    const taken = new Take(window);
    for (const row of this.#table.scanRows(part, window.order)) if (!taken.add(row)) break;
    return taken.slice(behind(window, part));
  }

  #scan(window: Window, part: Range): Slice {
    const taken = new Take(window);
    for (const keys of this.#table.scanKeys(part, window.order)) {
      if (!this.#facets.every(({ accepts }) => accepts(keys))) continue;
      const row = this.#table.row(keys.sequence);
      if (row && !taken.add(row)) break;
    }
    return taken.slice(behind(window, part));
  }

  #merge(window: Window, { column, entries }: Lead['facet']): Slice {
    const { order, eventsMax } = window;
    const others = this.#facets.filter((facet) => facet.column !== column);
    const reader = this.#index.sequences(column, order);
    const merge = new KeyMerge(reader, { keys: entries, range: window, order, wanted: eventsMax });
    const taken = new Take(window);
    let looked = 0;
    for (let batch = merge.next(); batch.length > 0; batch = merge.next()) {
      for (const sequence of batch) {
        const rest = from(window, sequence, order);
        if (++looked > STEP_ROWS_MAX) return taken.slice(rest);
        if (!this.#meets(sequence, others)) continue;
        const row = this.#table.row(sequence);
        if (row && !taken.add(row)) return taken.slice(rest);
      }
    }
    return taken.slice(nothingOf(window, order));
  }

  #mergeRows(window: Window, keys: readonly Entry[]): Slice {
    const { order, eventsMax } = window;
    const reader = this.#index.rows(order);
    const merge = new KeyMerge(reader, { keys, range: window, order, wanted: eventsMax });
    const taken = new Take(window);
    let looked = 0;
    for (let batch = merge.next(); batch.length > 0; batch = merge.next()) {
      for (const row of batch) {
        const rest = from(window, row.sequence, order);
        if (++looked > STEP_ROWS_MAX || !taken.add(row)) return taken.slice(rest);
      }
    }
    return taken.slice(nothingOf(window, order));
  }

  #meets(sequence: number, facets: readonly Facet[]): boolean {
    if (facets.length === 0) return true;
    const keys = this.#table.keys(sequence);
    return keys !== undefined && facets.every(({ accepts }) => accepts(keys));
  }
}

/** What remains of a window behind the part that was looked at. */
function behind(window: Window, part: Range): Range {
  const last = window.order === 'asc' ? part.through : part.after + 1;
  return beyond(window, last, window.order);
}
