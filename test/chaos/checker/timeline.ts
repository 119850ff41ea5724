import type { HistoryRecord } from '../history.ts';
import type { Concern, Violation } from './violation.ts';

/** Most lines before the violation, and after it. */
const LINES_BEFORE = 60;
const LINES_AFTER = 10;

/** Longest line, in characters: an export has many items. */
const LINE_LENGTH_MAX = 400;

/** The records around a violation that concern the same, and the faults. The violation stands among them. */
export function timelineOf(
  { atMs, check, message, concern }: Violation,
  records: Iterable<HistoryRecord>,
): string[] {
  const before: string[] = [];
  const after: string[] = [];
  const isConcerned = concernFilter(concern);
  for (const record of records) {
    if (!isConcerned(record)) continue;
    if (record.atMs > atMs && after.length >= LINES_AFTER) break;
    if (record.atMs > atMs) after.push(lineOf(record));
    else before.push(lineOf(record));
    if (before.length > 2 * LINES_BEFORE) before.splice(0, LINES_BEFORE);
  }
  const time = Number.isFinite(atMs) ? `${Math.round(atMs)} ms` : 'at the end';
  return [...before.slice(-LINES_BEFORE), `>>> ${time}  ${check}: ${message}`, ...after];
}

function concernFilter(concern: Concern): (record: HistoryRecord) => boolean {
  const { attempt, subscription, connection, reader, topic, id } = concern;
  const attempts = new Set(attempt === undefined ? [] : [attempt]);
  // With a client, only the attempts of the one event matter; without, all of its topic do.
  const isOfClient = (subscription ?? connection ?? reader) !== undefined;
  return (record) => {
    switch (record.kind) {
      case 'run':
      case 'fault':
      case 'revoked':
        return true;
      case 'publish-attempt': {
        const isConcerned = record.id === id || (!isOfClient && record.topic === topic);
        if (isConcerned) attempts.add(record.attempt);
        return isConcerned;
      }
      case 'publish-answer':
        return attempts.has(record.attempt);
      case 'event':
        return record.connection === connection || (!isOfClient && record.id === id);
      default:
        return isOf(record, concern);
    }
  };
}

/** Whether a record names the subscription, connection or reader of a violation. */
function isOf(record: HistoryRecord, { subscription, connection, reader }: Concern): boolean {
  if ('reader' in record) return record.reader === reader;
  if ('subscription' in record) return record.subscription === subscription;
  return 'connection' in record && record.connection === connection;
}

function lineOf({ kind, atMs, ...fields }: HistoryRecord): string {
  const texts = Object.entries(fields).map(([name, value]) => {
    return `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
  });
  const line = `${String(Math.round(atMs)).padStart(9)}  ${kind.padEnd(17)} ${texts.join(' ')}`;
  return line.length > LINE_LENGTH_MAX ? `${line.slice(0, LINE_LENGTH_MAX)} …` : line;
}
