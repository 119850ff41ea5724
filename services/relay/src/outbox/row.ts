/** A row of an outbox, as a relay reads it. */
export interface OutboxRow {
  /** A 64-bit integer, as text. */
  readonly position: string;
  readonly topic: string;
  readonly type: string;
  readonly source: string;
  readonly id: string;
  /** RFC 3339. */
  readonly time: string;
  /** JSON. */
  readonly data: string | null;
  /** A JSON object. */
  readonly attributes: string | null;
  /** Bytes of all of these. Above `ROW_BYTES_MAX` data and attributes are not read. */
  readonly bytes: number;
  /** Set once it was sent, or may have been. */
  readonly attempted?: {
    /** RFC 3339, by the clock of the database. */
    readonly at: string;
    /** How long ago that was, in ms. */
    readonly ageMs: number;
  };
}

/** Rows with more are not read: no event is as large. */
export const ROW_BYTES_MAX = 300 * 1024;

/** Of a longer text in `topic`, `type`, `source` or `id` only the beginning is read: no event may have one. */
export const TEXT_LENGTH_MAX = 2048;

/** What is wrong with a row that no event can be made of. */
export class RowError extends Error {
  override readonly name = 'RowError';
}

/**
 * The event of a row as JSON. Ingest checks it; here only its form is checked, so that a row is one event and no more.
 *
 * @throws RowError
 */
export function toEventText(row: OutboxRow): string {
  const { topic, type, source, id, time, data, bytes } = row;
  if (bytes > ROW_BYTES_MAX) throw new RowError(`too_large: The row has ${bytes} bytes.`);
  const attributes = parse('attributes', row.attributes ?? '{}');
  if (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes)) {
    throw new RowError('invalid_event: attributes must be a JSON object.');
  }
  if ('data' in attributes) throw new RowError('invalid_event: attributes must not have data.');
  const event = { ...attributes, specversion: '1.0', id, source, type, topic, time };
  const text = JSON.stringify(event);
  if (data === null) return text;
  parse('data', data);
  // The text itself, because JavaScript would round its numbers.
  return `${text.slice(0, -1)},"data":${data}}`;
}

function parse(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RowError(`invalid_json: ${name} is no JSON.`);
  }
}
