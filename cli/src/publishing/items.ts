import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { FileRecord } from '../input/records.ts';
import type { Item } from './batch-sender.ts';

/** What events get that do not say it themselves. */
export interface Defaults {
  readonly type?: string | undefined;
  readonly topic?: string | undefined;
  readonly source: string;
}

/** The source of events that have none. */
export const SOURCE = '/tidemark-cli';

/**
 * Makes the event of a record. Its own attributes count; they stand last, and the text of its data stays as it
 * is, so that numbers keep their digits. Its id, where it has none, follows from the file's name and the
 * line: the same line published again is a repeat.
 */
export function toItem(
  record: Extract<FileRecord, { json: string }>,
  { type, topic, source }: Defaults,
  file: string | undefined,
): Item {
  const { line, json } = record;
  const own = JSON.parse(json) as { id?: unknown; source?: unknown };
  const id = file === undefined ? crypto.randomUUID() : idOf(file, line, json);
  const time = new Date().toISOString();
  const defaults = {
    specversion: '1.0',
    id,
    source,
    time,
    ...(type && { type }),
    ...(topic && { topic }),
  };
  const body = json.trim().slice(1);
  const isEmpty = body.trim() === '}';
  return {
    line,
    id: typeof own.id === 'string' ? own.id : id,
    source: typeof own.source === 'string' ? own.source : source,
    text: json,
    json: `${JSON.stringify(defaults).slice(0, -1)}${isEmpty ? '' : ','}${body}`,
  };
}

function idOf(file: string, line: number, json: string): string {
  const hash = createHash('sha256').update(`${basename(file)}\0${line}\0${json}`);
  return `${line}-${hash.digest('base64url').slice(0, 22)}`;
}
