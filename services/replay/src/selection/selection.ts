import type { ArchivedEvent } from '@tidemark/protocol';
import type { DictionaryEntry } from '../sqlite/dictionary.ts';
import type { EventTable } from '../sqlite/event-table.ts';
import type { KeyIndex } from '../sqlite/key-index.ts';
import { emptyRest, isEmpty, type LogRange, restBehind, restFrom } from '../sqlite/log-range.ts';
import type { Filter } from './filters.ts';
import { KeyMerge } from './key-merge.ts';
import { PageBuilder, type ReadRequest, type SelectionPage } from './page-builder.ts';

/** How long one synchronous step works. The seeks of a merge may add as much to its first step. */
export const STEP_MS = 5;

/** What is left of the first step at least, where most of it went to the making of the selection. */
const FIRST_STEP_MS_MIN = 1;

/** Rows that a scan reads from the file before it looks at the clock. */
const SCAN_ROWS = 256;

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

/** Items that a merge gives, which are sequences or whole events, and how to read them. */
interface Merged {
  peekNext(): number | ArchivedEvent | undefined;
  takeNext(): void;
}

/** A merge that the next step goes on with, if it begins where the one before ended. */
interface KeptMerge {
  readonly merge: Merged;
  readonly order: ReadRequest['order'];
  /** Conditions besides that of the merge. */
  readonly others: readonly Filter[];
  /** What the merge has yet to give out. */
  readonly remaining: LogRange;
}

type Hidden = (sequence: number) => boolean;

/** When a step has to end, and what it passes over. */
interface StepState {
  readonly isOver: () => boolean;
  readonly hidden: Hidden | undefined;
}

export interface SelectionOptions {
  readonly filters: readonly Filter[];
  /** The last sequence that may be read now. */
  readonly end: () => number;
  /** When the making of the selection began: that is a part of its first step. */
  readonly sinceMs: number;
  /** Tells which events must not be shown any more; `undefined` while there are none. */
  readonly hidden?: () => Hidden | undefined;
  /** Most topics whose whole events are read ahead; 8 if absent. */
  readonly eventKeysMax?: number;
}

/**
 * The events that pass some filters. It knows the names as they were when it was made, so it is
 * complete up to `through`, the archive's last sequence of that time.
 *
 * There are two ways to read. The *scan* walks the events by sequence and checks each. The *merge*
 * follows the index of the driving filter, which is the one with the fewest events, and checks the
 * other filters. Each read takes the cheaper way. A step works for `STEP_MS` and returns what remains, so
 * the caller decides when to continue. A merge is kept from one step to the next, with what it read ahead.
 *
 * Two cores, 1,000,000 events of 270 bytes on 50,000 topics: everything is scanned at 570,000 rows
 * a second; 200 events of one topic take 0.4 ms, 200 of ten topics 0.5 ms.
 */
export class Selection {
  readonly through: number;
  readonly #table: EventTable;
  readonly #index: KeyIndex;
  readonly #filters: readonly Filter[];
  readonly #end: () => number;
  readonly #hidden: () => Hidden | undefined;
  readonly #eventKeysMax: number;
  /** Set until the first step. */
  #sinceMs: number | undefined;
  #kept: KeptMerge | undefined;

  constructor(table: EventTable, index: KeyIndex, options: SelectionOptions) {
    const { filters, end, sinceMs, hidden, eventKeysMax = EVENT_KEYS_MAX } = options;
    this.#sinceMs = sinceMs;
    this.#eventKeysMax = eventKeysMax;
    this.#table = table;
    this.#index = index;
    this.#filters = filters;
    this.#end = end;
    this.#hidden = hidden ?? (() => undefined);
    this.through = end();
  }

  /**
   * Makes one synchronous step through a range. In ascending order it stops at `through`; in descending
   * order the range must not end beyond.
   */
  readPage(request: ReadRequest): SelectionPage {
    const end = Math.min(request.through, this.#end());
    const through = Math.min(end, this.through);
    const page = this.#table.readConsistently(() => this.#step({ ...request, through }));
    if (through === end || request.order === 'desc') return page;
    const after = isEmpty(page.remaining) ? Math.max(through, request.after) : page.remaining.after;
    return { ...page, remaining: { after, through: end } };
  }

  #step(request: ReadRequest): SelectionPage {
    const nowMs = performance.now();
    const sinceMs = this.#sinceMs ?? nowMs;
    this.#sinceMs = undefined;
    const deadlineMs = Math.max(sinceMs + STEP_MS, nowMs + FIRST_STEP_MS_MIN);
    const isOver = (): boolean => performance.now() >= deadlineMs;
    if (isEmpty(request) || this.#filters.some(({ entries }) => entries?.length === 0)) {
      return { events: [], remaining: emptyRest(request, request.order) };
    }
    const kept = this.#keptMerge(request) ?? this.#beginMerge(request);
    const state = { isOver, hidden: this.#hidden() };
    return kept ? this.#merge(request, kept, state) : this.#scan(request, state);
  }

  #keptMerge({ after, through, order }: ReadRequest): KeptMerge | undefined {
    const kept = this.#kept;
    if (kept?.order !== order) return undefined;
    const { remaining } = kept;
    // The end of a gateway's range moves with its tail from one page to the next.
    const isNext = order === 'asc' ? through <= remaining.through : through === remaining.through;
    return isNext && remaining.after === after ? kept : undefined;
  }

  /** @returns `undefined` where a scan is cheaper */
  #beginMerge(request: ReadRequest): KeptMerge | undefined {
    const driving = this.#drivingFilter();
    if (!driving || driving.cost >= request.through - request.after) return undefined;
    const { column, entries: keys } = driving;
    const { order, after, eventsMax: wanted } = request;
    const others = this.#filters.filter((filter) => filter.column !== column);
    const range = order === 'asc' ? { after, through: this.through } : request;
    const from = { keys, range, order, wanted };
    const isAlone = others.length === 0 && column === 'topic' && keys.length <= this.#eventKeysMax;
    const merge = isAlone
      ? new KeyMerge(this.#index.eventReader(order), from)
      : new KeyMerge(this.#index.sequenceReader(column, order), from);
    return { merge, order, others, remaining: range };
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

  #merge(request: ReadRequest, kept: KeptMerge, { isOver, hidden }: StepState): SelectionPage {
    const { merge, others } = kept;
    const { order } = request;
    const builder = new PageBuilder(request);
    let remaining = emptyRest(request, order);
    let looked = 0;
    for (let next = merge.peekNext(); next !== undefined; next = merge.peekNext()) {
      const sequence = typeof next === 'number' ? next : next.sequence;
      if (sequence > request.through) break;
      if (looked > 0 && isOver()) {
        remaining = restFrom(request, sequence, order);
        break;
      }
      looked++;
      const isWanted = !hidden?.(sequence) && this.#passes(sequence, others);
      const more = !isWanted || builder.appendEvent(this.#eventOf(next));
      if (!isWanted || builder.lastSequence === sequence) merge.takeNext();
      if (!more) break;
    }
    const page = builder.finishPage(remaining);
    const { after, through } = page.remaining;
    const rest = order === 'asc' ? { after, through: kept.remaining.through } : { after, through };
    this.#kept = { ...kept, remaining: rest };
    return page;
  }

  #eventOf(item: number | ArchivedEvent): ArchivedEvent {
    return typeof item === 'number' ? this.#table.readEvent(item) : item;
  }

  #scan(request: ReadRequest, state: StepState): SelectionPage {
    const { order } = request;
    const page = new PageBuilder(request);
    let rest: LogRange = request;
    do {
      // It begins at the first event of the rest, so a range that the archive never received costs nothing.
      const first = this.#table.firstSequence(rest, order);
      if (first === undefined) return page.finishPage(emptyRest(request, order));
      const part =
        order === 'asc'
          ? { after: first - 1, through: Math.min(rest.through, first - 1 + SCAN_ROWS) }
          : { after: Math.max(rest.after, first - SCAN_ROWS), through: first };
      const last = this.#scanPart(part, page, { ...state, order });
      rest = restBehind(rest, last ?? (order === 'asc' ? part.through : part.after + 1), order);
    } while (!page.full && !isEmpty(rest) && !state.isOver());
    return page.finishPage(rest);
  }

  /** @returns the last sequence that it looked at; `undefined` when it looked at the whole part */
  #scanPart(
    part: LogRange,
    page: PageBuilder,
    { order, isOver, hidden }: StepState & Pick<ReadRequest, 'order'>,
  ): number | undefined {
    if (this.#filters.length === 0) {
      for (const event of this.#table.scanEvents(part, order)) {
        const more = hidden?.(event.sequence) || page.appendEvent(event);
        if (!more || isOver()) return event.sequence;
      }
      return undefined;
    }
    for (const keys of this.#table.scanKeys(part, order)) {
      if (!this.#filters.every(({ accepts }) => accepts(keys))) continue;
      const { sequence } = keys;
      if (hidden?.(sequence)) continue;
      if (!page.appendEvent(this.#table.readEvent(sequence)) || isOver()) return sequence;
    }
    return undefined;
  }

  #passes(sequence: number, filters: readonly Filter[]): boolean {
    if (filters.length === 0) return true;
    const keys = this.#table.readKeys(sequence);
    return filters.every(({ accepts }) => accepts(keys));
  }
}
