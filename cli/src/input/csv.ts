import { usageError } from '../base/errors.ts';
import { isJson, withData } from './json-text.ts';
import { type FileRecord, RECORD_BYTES_MAX, TOO_LONG } from './records.ts';

/** Columns that are attributes of the event. All others are fields of its data. */
const ATTRIBUTES = new Set(['topic', 'type', 'id', 'source', 'subject', 'time', 'expires']);

/** The column that holds all of the data as JSON. */
const DATA = 'data';

interface Row {
  readonly line: number;
  readonly fields: string[];
  readonly isTooLong: boolean;
  /** A quote was never closed. */
  readonly isOpen: boolean;
}

/**
 * Reads CSV by RFC 4180, whose first row names the columns. Holds one row at a time.
 *
 * @param convert whether fields of data that are JSON numbers, booleans or null become these; texts otherwise
 * @throws CliError where the first row cannot name columns
 */
export async function* readCsv(
  chunks: AsyncIterable<Buffer>,
  convert: boolean,
): AsyncGenerator<FileRecord> {
  let names: string[] | undefined;
  for await (const row of splitRows(chunks)) {
    if (row.fields.length === 1 && row.fields[0] === '' && !row.isTooLong) continue;
    if (names === undefined) names = checkNames(row);
    else yield toRecord(row, names, convert);
  }
}

function checkNames({ fields, isTooLong, isOpen }: Row): string[] {
  const names = fields.map((name) => name.trim());
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (isTooLong || isOpen || names.includes('')) {
    throw usageError('The first row of the CSV has to name each column.');
  }
  if (twice !== undefined) throw usageError(`The CSV has two columns ${JSON.stringify(twice)}.`);
  if (names.includes(DATA) && names.some((name) => name !== DATA && !ATTRIBUTES.has(name))) {
    throw usageError('The CSV has a column data, which is all of the data, and others beside it.');
  }
  return names;
}

function toRecord(row: Row, names: readonly string[], convert: boolean): FileRecord {
  const { line, fields, isTooLong, isOpen } = row;
  if (isTooLong) return { line, fault: TOO_LONG };
  if (isOpen) return { line, fault: 'has a quote that is never closed' };
  if (fields.length !== names.length) {
    return { line, fault: `has ${fields.length} fields, and there are ${names.length} columns` };
  }
  const attributes: Record<string, string> = {};
  const data: string[] = [];
  let whole: string | undefined;
  for (const [index, name] of names.entries()) {
    const text = fields[index] ?? '';
    if (name === DATA) whole = text;
    else if (!ATTRIBUTES.has(name)) {
      data.push(`${JSON.stringify(name)}:${convert ? converted(text) : JSON.stringify(text)}`);
    } else if (text !== '') attributes[name] = text;
  }
  if (whole !== undefined && !isJson(whole)) return { line, fault: 'has data that is no JSON' };
  return {
    line,
    json: withData(attributes, whole ?? (data.length > 0 ? `{${data.join(',')}}` : undefined)),
  };
}

/** A number keeps its digits: it is never read as one here. */
function converted(text: string): string {
  if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$|^true$|^false$|^null$/.test(text)) return text;
  return text === '' ? 'null' : JSON.stringify(text);
}

async function* splitRows(chunks: AsyncIterable<Buffer>): AsyncGenerator<Row> {
  const rows = new RowSplitter();
  const decoder = new TextDecoder();
  for await (const chunk of chunks) yield* rows.push(decoder.decode(chunk, { stream: true }));
  yield* rows.end(decoder.decode());
}

/** Splits text into rows, whatever pieces it comes in. */
class RowSplitter {
  #line = 1;
  #startLine = 1;
  #fields: string[] = [];
  #field = '';
  #size = 0;
  #isQuoted = false;
  /** A quote within quotes: it ends them, or a second one follows. */
  #isAfterQuote = false;
  /** A carriage return outside of quotes: at the end of a row it belongs to the line end. */
  #endsWithReturn = false;

  *push(text: string): Generator<Row> {
    let plain = 0;
    for (let index = 0; index < text.length; index++) {
      const character = text[index];
      if (character === '\n') this.#line++;
      const isQuote = character === '"';
      const isEnd = !this.#isQuoted && (character === ',' || character === '\n');
      if (isQuote && this.#turns(plain === index)) {
        this.#add(text.slice(plain, index));
        this.#quote();
        plain = index + 1;
      } else if (isEnd) {
        this.#add(text.slice(plain, index));
        plain = index + 1;
        this.#endField(character === '\n');
        if (character === '\n') yield this.#take();
      } else if (!this.#isQuoted) this.#isAfterQuote = false;
    }
    this.#add(text.slice(plain));
  }

  /** Whether a quote begins or ends a quoted part; elsewhere it is a character like others. */
  #turns(isFirst: boolean): boolean {
    return this.#isQuoted || this.#isAfterQuote || (isFirst && this.#field === '');
  }

  #quote(): void {
    if (this.#isQuoted) {
      this.#isQuoted = false;
      this.#isAfterQuote = true;
      return;
    }
    if (this.#isAfterQuote) this.#add('"', true);
    this.#isAfterQuote = false;
    this.#isQuoted = true;
  }

  *end(text: string): Generator<Row> {
    yield* this.push(text);
    if (this.#size === 0 && this.#fields.length === 0) return;
    this.#endField(true);
    yield this.#take();
  }

  #add(text: string, isQuoted = this.#isQuoted): void {
    if (text !== '') this.#endsWithReturn = !isQuoted && text.endsWith('\r');
    this.#size += text.length;
    if (this.#size <= RECORD_BYTES_MAX) this.#field += text;
  }

  #endField(isLast: boolean): void {
    const field = isLast && this.#endsWithReturn ? this.#field.slice(0, -1) : this.#field;
    const isFirst = this.#startLine === 1 && this.#fields.length === 0;
    this.#fields.push(isFirst ? field.replace(/^\ufeff/, '') : field);
    this.#field = '';
    this.#endsWithReturn = false;
    this.#size++;
    this.#isAfterQuote = false;
  }

  #take(): Row {
    const row = {
      line: this.#startLine,
      fields: this.#fields,
      isTooLong: this.#size > RECORD_BYTES_MAX,
      isOpen: this.#isQuoted,
    };
    this.#fields = [];
    this.#size = 0;
    this.#isQuoted = false;
    this.#startLine = this.#line;
    return row;
  }
}
