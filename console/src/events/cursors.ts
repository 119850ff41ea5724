/**
 * The number of a cursor, by which the console draws where something lies in the log. Clients compare cursors only for
 * equality, with the exception of PROTOCOL.md section 6.4, which reads this number too.
 *
 * @returns `undefined` for a text that is no cursor
 */
export function sequenceOf(cursor: string | null | undefined): number | undefined {
  const digits = /^[a-z0-9.]{1,40}-(\d{1,16})$/.exec(cursor ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** How many sequences of the log lie after `from`, up to `to`: 0 or more; `undefined` where one is no cursor. */
export function distance(
  from: string | null | undefined,
  to: string | null | undefined,
): number | undefined {
  const [first, last] = [sequenceOf(from), sequenceOf(to)];
  return first === undefined || last === undefined ? undefined : Math.max(0, last - first);
}
