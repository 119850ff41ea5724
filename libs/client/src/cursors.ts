/** What is before the sequence of a cursor: the name of the log, and what follows it after a loss. */
export function epochOf(cursor: string): string {
  return cursor.slice(0, cursor.lastIndexOf('-'));
}

/** Sequences are below 2^53. */
export function sequenceOf(cursor: string): number {
  return Number(cursor.slice(cursor.lastIndexOf('-') + 1));
}

/** PROTOCOL 6.4: the text before the first dot or hyphen names the log. */
function logOf(cursor: string): string | undefined {
  return cursor.split(/[.-]/, 1)[0];
}

/** Whether an event at `next` comes after a subscription's position: PROTOCOL 6.4. */
export function isAfter(next: string, position: string | undefined): boolean {
  if (position === undefined) return true;
  return sequenceOf(next) > sequenceOf(position) || logOf(next) !== logOf(position);
}
