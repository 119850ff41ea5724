/** Part of the log: the sequences after `after`, up to and with `through`. */
export interface LogRange {
  readonly after: number;
  readonly through: number;
}

/** The direction in which a range is read: from its low end or from its high end. */
export type Order = 'asc' | 'desc';

export function isEmpty({ after, through }: LogRange): boolean {
  return after >= through;
}

/** What is left of a range when everything up to and with `sequence` has been looked at. */
export function restBehind(range: LogRange, sequence: number, order: Order): LogRange {
  return order === 'asc'
    ? { after: sequence, through: range.through }
    : { after: range.after, through: sequence - 1 };
}

/** What is left of a range when everything before `sequence` has been looked at. */
export function restFrom(range: LogRange, sequence: number, order: Order): LogRange {
  return restBehind(range, order === 'asc' ? sequence - 1 : sequence + 1, order);
}

/** The part of a range that was looked at, given what remains of it. */
export function examinedPart(range: LogRange, remaining: LogRange, order: Order): LogRange {
  if (isEmpty(remaining)) return range;
  return order === 'asc'
    ? { after: range.after, through: remaining.after }
    : { after: remaining.through, through: range.through };
}

/** The empty rest of a range that was looked at completely. */
export function emptyRest(range: LogRange, order: Order): LogRange {
  return order === 'asc'
    ? { after: range.through, through: range.through }
    : { after: range.after, through: range.after };
}
