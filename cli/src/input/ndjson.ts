import { type FileRecord, RECORD_BYTES_MAX, TOO_LONG } from './records.ts';

const NEW_LINE = 0x0a;

/** Reads lines of JSON objects. Empty lines are passed over. Holds one line at a time. */
export async function* readNdjson(chunks: AsyncIterable<Buffer>): AsyncGenerator<FileRecord> {
  let line = 0;
  for await (const bytes of splitLines(chunks)) {
    line++;
    if (bytes === undefined) {
      yield { line, fault: TOO_LONG };
      continue;
    }
    const text = bytes.toString('utf8').trim();
    const json = line === 1 ? text.replace(/^\ufeff/, '') : text;
    if (json !== '') yield check(line, json);
  }
}

function check(line: number, json: string): FileRecord {
  try {
    const value = JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { line, json };
    return { line, fault: 'is no JSON object', text: json };
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    return { line, fault: `is no JSON: ${reason}`, text: json };
  }
}

/** `undefined`: a line that was too long, and is dropped. */
async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer | undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  const add = (part: Buffer) => {
    size += part.length;
    if (size > RECORD_BYTES_MAX) parts = [];
    else parts.push(part);
  };
  const take = () => {
    const line = size > RECORD_BYTES_MAX ? undefined : Buffer.concat(parts);
    parts = [];
    size = 0;
    return line;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEW_LINE); end !== -1; end = chunk.indexOf(NEW_LINE, start)) {
      add(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    if (start < chunk.length) add(chunk.subarray(start));
  }
  if (size > 0) yield take();
}
