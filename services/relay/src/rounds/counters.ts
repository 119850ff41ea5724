import type { Metrics } from '@tidemark/telemetry';

/** What became of rows. */
export interface Counters {
  /** The stream has stored them. */
  stored(count: number): void;
  /** The stream had them already: told by ingest (`duplicate`) or by a look-up (`found`). */
  known(how: 'duplicate' | 'found', count: number): void;
  setAside(count: number): void;
}

/** Counts rows by what became of them. */
export function countRows(metrics: Metrics): Counters {
  const rows = metrics.counter('relay_rows_total', 'Rows that left the outbox, by how.', [
    'result',
  ]);
  const add = (result: string, count: number) => rows.inc({ result }, count);
  for (const result of ['stored', 'duplicate', 'found', 'set_aside']) add(result, 0);
  return {
    stored: (count) => add('stored', count),
    known: add,
    setAside: (count) => add('set_aside', count),
  };
}
