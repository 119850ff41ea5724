/** Part of the log: sequences after `after`, up to and with `through`. */
export interface Range {
  readonly after: number;
  readonly through: number;
}

/** A range that left the stream before it was projected; both ends are missing. */
export interface MissingRange {
  readonly from: number;
  readonly to: number;
}

/** How far the archive has come. */
export interface ArchivePosition {
  readonly epoch: string;
  /** Where the archive begins; what the stream dropped before is not here. */
  readonly firstSequence: number;
  /** The last sequence that was projected. */
  readonly sequence: number;
}

export type Order = 'asc' | 'desc';

/** What one synchronous step may read, from the low end of its range or from the high one. */
export interface Window extends Range {
  readonly order: Order;
  readonly eventsMax: number;
  /** Bytes of JSON; one event is returned even when it alone is larger. */
  readonly bytesMax: number;
}

export interface StoredRow {
  readonly sequence: number;
  readonly timeMs: number;
  readonly topic: string;
  /** The event as the stream holds it. */
  readonly json: string;
}

/** What a step found. It is done with the whole window when nothing remains. */
export interface Slice {
  readonly rows: readonly StoredRow[];
  readonly remaining: Range;
}

export function isEmpty({ after, through }: Range): boolean {
  return after >= through;
}

/** What is left of a range when everything up to and with `sequence` has been looked at. */
export function beyond(range: Range, sequence: number, order: Order): Range {
  return order === 'asc'
    ? { after: sequence, through: range.through }
    : { after: range.after, through: sequence - 1 };
}

/** What is left of a range when everything before `sequence` has been looked at. */
export function from(range: Range, sequence: number, order: Order): Range {
  return beyond(range, order === 'asc' ? sequence - 1 : sequence + 1, order);
}

/** The part of a range that a step has looked at. */
export function examined(range: Range, remaining: Range, order: Order): Range {
  if (isEmpty(remaining)) return range;
  return order === 'asc'
    ? { after: range.after, through: remaining.after }
    : { after: remaining.through, through: range.through };
}

/** Nothing is left of a range. */
export function nothingOf(range: Range, order: Order): Range {
  return order === 'asc'
    ? { after: range.through, through: range.through }
    : { after: range.after, through: range.after };
}
