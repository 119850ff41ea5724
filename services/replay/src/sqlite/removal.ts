import type { Database } from 'better-sqlite3';
import type { Column } from './dictionary.ts';
import type { Order } from './log-range.ts';

/** Most events and bytes of JSON that one step removes: some 10 ms. */
export const STEP_EVENTS_MAX = 500;
export const STEP_BYTES_MAX = 1024 * 1024;

const COLUMNS = ['topic', 'type', 'source'] as const;

/** The ids of an event's names. */
type EventNames = Readonly<Record<Column, number>>;

interface EventSize {
  readonly sequence: number;
  readonly bytes: number;
}

interface NameCount {
  readonly id: number;
  readonly count: number;
}

/**
 * Removes the last events after a sequence, as many as one step may, and what the archive knows of
 * them. The caller's transaction also moves the archive's last sequence.
 *
 * @returns how many events were removed, and the sequence after which nothing is left
 */
export function removeAfter(
  database: Database,
  sequence: number,
): { readonly removed: number; readonly lastSequence: number } {
  const lastSequence = endOfStep(database, sequence);
  for (const column of COLUMNS) {
    correctCounts(database, column, lastSequence);
  }
  const events = database.prepare('DELETE FROM events WHERE sequence > ?').run(lastSequence);
  database.prepare('DELETE FROM expiring WHERE sequence > ?').run(lastSequence);
  database.prepare('DELETE FROM missing WHERE from_sequence > ?').run(lastSequence);
  database
    .prepare('UPDATE missing SET to_sequence = @end WHERE to_sequence > @end')
    .run({ end: lastSequence });
  database
    .prepare('UPDATE position SET first_sequence = min(first_sequence, ? + 1)')
    .run(lastSequence);
  return { removed: events.changes, lastSequence };
}

/**
 * Removes single events, and what the archive knows of them. The bounds stay as they are.
 *
 * @returns how many of them there were
 */
export function removeEvents(database: Database, sequences: readonly number[]): number {
  const remove = database.prepare<[number], EventNames>(
    `DELETE FROM events WHERE sequence = ?
     RETURNING topic_id AS topic, type_id AS type, source_id AS source`,
  );
  const forget = database.prepare('DELETE FROM expiring WHERE sequence = ?');
  const removed: EventNames[] = [];
  for (const sequence of sequences) {
    const names = remove.get(sequence);
    if (names) removed.push(names);
    forget.run(sequence);
  }
  for (const column of COLUMNS) {
    const counts = new Map<number, number>();
    for (const { [column]: id } of removed) counts.set(id, (counts.get(id) ?? 0) + 1);
    const correct = database.prepare(
      `UPDATE ${column}s SET event_count = event_count - @count,
         first_sequence = ${endOfName(column, 'asc')}, last_sequence = ${endOfName(column, 'desc')}
       WHERE id = @id`,
    );
    const drop = dropUnused(database, column);
    for (const [id, count] of counts) {
      correct.run({ id, count });
      drop.run(id);
    }
  }
  return removed.length;
}

/** The first or last sequence of a name; 0 where it has none. */
function endOfName(column: Column, order: Order): string {
  return `coalesce((SELECT sequence FROM events INDEXED BY events_by_${column}
    WHERE ${column}_id = @id ORDER BY sequence ${order} LIMIT 1), 0)`;
}

function dropUnused(database: Database, column: Column) {
  return database.prepare(`DELETE FROM ${column}s WHERE id = ? AND event_count = 0`);
}

/** The sequence before the events of one step; the one that was asked for where the step is the last. */
function endOfStep(database: Database, sequence: number): number {
  // `octet_length` does not read the text, unlike `length`.
  const sizes = database.prepare<[number, number], EventSize>(
    `SELECT sequence, octet_length(json) AS bytes FROM events WHERE sequence > ?
     ORDER BY sequence DESC LIMIT ?`,
  );
  let events = 0;
  let bytes = 0;
  for (const event of sizes.iterate(sequence, STEP_EVENTS_MAX + 1)) {
    if (events === STEP_EVENTS_MAX || bytes >= STEP_BYTES_MAX) return event.sequence;
    events++;
    bytes += event.bytes;
  }
  return sequence;
}

/** Takes the events after a sequence out of the counts of their names; drops names without others. */
function correctCounts(database: Database, column: Column, sequence: number): void {
  const table = `${column}s`;
  const counts = database.prepare<[number], NameCount>(
    `SELECT ${column}_id AS id, count(*) AS count FROM events WHERE sequence > ? GROUP BY ${column}_id`,
  );
  const correct = database.prepare(
    `UPDATE ${table} SET event_count = event_count - @count, last_sequence = coalesce((
       SELECT sequence FROM events INDEXED BY events_by_${column}
       WHERE ${column}_id = @id AND sequence <= @sequence ORDER BY sequence DESC LIMIT 1
     ), 0) WHERE id = @id`,
  );
  const drop = dropUnused(database, column);
  for (const { id, count } of counts.all(sequence)) {
    correct.run({ id, count, sequence });
    drop.run(id);
  }
}
