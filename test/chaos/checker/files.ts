import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import type { FinalRecord, HistoryRecord } from '../history.ts';
import { check, type History, type Report } from './check.ts';

const FINAL_FILE = 'final.jsonl';
const CHUNK_BYTES = 1 << 20;

/** Checks the history in a folder: `final.jsonl`, and any other `*.jsonl`. */
export async function checkHistory(folder: string): Promise<Report> {
  return check(openHistory(folder));
}

/** The history in a folder, which is read from its files each time. */
export function openHistory(folder: string): History {
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  const others = files.filter((name) => name !== FINAL_FILE).map((name) => join(folder, name));
  return {
    records: () => merge(others.map((path) => readLines<HistoryRecord>(path))),
    final: () => readLines<FinalRecord>(join(folder, FINAL_FILE)),
  };
}

/** The records of several files, each by time, in the order of their times. */
function* merge(files: readonly Generator<HistoryRecord, void>[]): Iterable<HistoryRecord> {
  const heads = files.flatMap((file) => {
    const { value: record } = file.next();
    return record ? [{ file, record }] : [];
  });
  try {
    while (heads.length > 0) {
      const first = heads.reduce((one, other) =>
        other.record.atMs < one.record.atMs ? other : one,
      );
      yield first.record;
      const { value: record } = first.file.next();
      if (record) first.record = record;
      else heads.splice(heads.indexOf(first), 1);
    }
  } finally {
    for (const file of files) file.return();
  }
}

/** The lines of a file, parsed. A last line without an end, as a killed process leaves it, is skipped. */
function* readLines<T>(path: string): Generator<T, void> {
  const file = openSync(path, 'r');
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const decoder = new StringDecoder();
    let rest = '';
    for (let bytes = readSync(file, chunk); bytes > 0; bytes = readSync(file, chunk)) {
      const lines = (rest + decoder.write(chunk.subarray(0, bytes))).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') yield JSON.parse(line) as T;
    }
  } finally {
    closeSync(file);
  }
}
