import { TidemarkError } from './errors.ts';

/** A place in the log: the stream's incarnation and the number of the last event that was passed. */
export interface Position {
  /** The stream's incarnation; positions of two epochs cannot be compared. */
  readonly epoch: string;
  /** Stream sequence, 0 before the first event. */
  readonly sequence: number;
}

/** Where a subscription or query begins (PROTOCOL.md section 4). */
export type Start =
  | { readonly kind: 'latest' }
  | { readonly kind: 'earliest' }
  | { readonly kind: 'cursor'; readonly position: Position }
  | { readonly kind: 'time'; readonly timeMs: number };

const CURSOR = /^([a-z0-9.]{1,40})-(0|[1-9][0-9]{0,15})$/;
const TIME =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

export function formatCursor({ epoch, sequence }: Position): string {
  return `${epoch}-${sequence}`;
}

/** Of the formatted cursor, without formatting it: that is asked for every event of a catch-up. */
export function cursorLength({ epoch, sequence }: Position): number {
  let digits = 1;
  for (let limit = 10; sequence >= limit; limit *= 10) digits++;
  return epoch.length + 1 + digits;
}

export function parseCursor(text: string): Position {
  const match = CURSOR.exec(text);
  const sequence = Number(match?.[2]);
  if (!match?.[1] || !Number.isSafeInteger(sequence)) {
    throw new TidemarkError('invalid_cursor', `${JSON.stringify(text.slice(0, 80))} is no cursor.`);
  }
  return { epoch: match[1], sequence };
}

/** `latest`, `earliest`, an RFC 3339 time or a cursor; nothing means `latest`. */
export function parseStart(text: string | undefined): Start {
  if (text === undefined || text === '' || text === 'latest') return { kind: 'latest' };
  if (text === 'earliest') return { kind: 'earliest' };
  if (looksLikeTime(text)) return { kind: 'time', timeMs: parseTime(text) };
  return { kind: 'cursor', position: parseCursor(text) };
}

export function isTime(text: string): boolean {
  return TIME.test(text) && isDay(text);
}

/** Date.parse takes the 30th of February for a day in March. Most days need no calendar. */
function isDay(text: string): boolean {
  const day = Number(text.slice(8, 10));
  if (day <= 28) return true;
  const lastOfMonth = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0));
  return day <= lastOfMonth.getUTCDate();
}

/** An RFC 3339 time in milliseconds since 1970. */
export function parseTime(text: string): number {
  if (!isTime(text)) {
    throw new TidemarkError(
      'invalid_time',
      `${JSON.stringify(text.slice(0, 80))} is no RFC 3339 time such as 2026-01-31T12:00:00Z.`,
    );
  }
  return toMs(text);
}

function looksLikeTime(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}/.test(text);
}

function toMs(text: string): number {
  // RFC 3339 allows small letters, and a leap second, which Date does not know: it counts as the
  // second before. Most times have neither.
  const plain = Date.parse(text);
  if (!Number.isNaN(plain)) return plain;
  return Date.parse(text.toUpperCase().replace(/:60(?=[.Z+-])/, ':59'));
}
