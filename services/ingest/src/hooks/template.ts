import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { fromLatin1, isKeptNumber, stringifyExact, TidemarkError } from '@tidemark/protocol';

/** What placeholders are filled from. */
export interface HookInput {
  /** The JSON that becomes the event's `data`, as `parseExact` reads it, and its text. */
  readonly value: unknown;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

/** How an attribute's template is filled. */
export interface Filling {
  /** The attribute, for the error. */
  readonly attribute: string;
  /** Where the input is in the body, for the error: `''` or `[3]`. */
  readonly path: string;
  /** Makes a value fit for its place. What it returns nothing for counts as absent. */
  readonly encode: (value: string) => string | undefined;
}

/** Something that a placeholder may stand for, as it is written, and how it is read. */
interface Source {
  readonly name: string;
  readonly read: (input: HookInput) => string | undefined;
}

/** A template: literal texts and placeholders in their order. A placeholder has one source or alternatives. */
export type Template = readonly (string | readonly Source[])[];

/** A JSON pointer (RFC 6901) as its names. It has none for the whole document. */
export type Pointer = readonly string[];

/**
 * Reads a template: literal text and placeholders such as `{/repository/id}` (a JSON pointer), `{header:x-id}`,
 * `{sha256}` (of the input's text) or `{'text'}`. Alternatives are separated by `|`, and the first one that has a
 * value counts. There are no braces besides, and no `|` in a pointer.
 *
 * @throws SyntaxError that says what is wrong
 */
export function parseTemplate(text: string): Template {
  const parts: (string | Source[])[] = [];
  for (const [, literal, placeholder] of text.matchAll(/([^{}]+)|\{([^{}]*)\}|[{}]/g)) {
    if (literal !== undefined) parts.push(literal);
    else if (placeholder !== undefined) parts.push(placeholder.split('|').map(parseSource));
    else throw new SyntaxError('has a brace without its other one');
  }
  return parts;
}

/**
 * Reads a JSON pointer.
 *
 * @throws SyntaxError that says what is wrong
 */
export function parsePointer(text: string): Pointer {
  if (text !== '' && !text.startsWith('/')) {
    throw new SyntaxError(`${text} is no JSON pointer: it begins with no /`);
  }
  if (/~(?![01])/.test(text)) {
    throw new SyntaxError(`${text} is no JSON pointer: ~ is followed by neither 0 nor 1`);
  }
  const names = text.split('/').slice(1);
  return names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The value that a pointer leads to; `undefined` where there is none. */
export function valueAt(document: unknown, pointer: Pointer): unknown {
  let value = document;
  for (const name of pointer) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) {
      return undefined;
    }
    if (Array.isArray(value) && !/^(?:0|[1-9]\d*)$/.test(name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

/**
 * Fills a template.
 *
 * @throws TidemarkError `invalid_event` that names the placeholder which has no value
 */
export function fillTemplate(template: Template, input: HookInput, filling: Filling): string {
  return template
    .map((part) => (typeof part === 'string' ? part : fillPlaceholder(part, input, filling)))
    .join('');
}

/** The text that a template has when each placeholder has the given one. */
export function sampleOf(template: Template, value: string): string {
  return template.map((part) => (typeof part === 'string' ? part : value)).join('');
}

function fillPlaceholder(sources: readonly Source[], input: HookInput, filling: Filling): string {
  for (const { read } of sources) {
    const value = read(input);
    if (!value?.isWellFormed()) continue;
    const encoded = filling.encode(value);
    if (encoded) return encoded;
  }
  const names = sources.map(({ name }) => name).join(' nor ');
  const path = `${filling.path}${names}`;
  const message = `has no text, number or boolean, which ${filling.attribute} is made from`;
  throw new TidemarkError('invalid_event', `${path} ${message}.`, { faults: [{ path, message }] });
}

function parseSource(written: string): Source {
  const name = written.trim();
  if (name === 'sha256') return { name, read: ({ text }) => hashOf(text) };
  const [, header] = /^header:([\w!#$&^.+-]+)$/.exec(name) ?? [];
  if (header) return { name, read: ({ headers }) => textOfHeader(headers[header.toLowerCase()]) };
  const [, text] = /^'(.+)'$/.exec(name) ?? [];
  if (text) return { name, read: () => text };
  if (name.startsWith('/')) {
    const pointer = parsePointer(name);
    return { name, read: ({ value }) => textOfValue(valueAt(value, pointer)) };
  }
  throw new SyntaxError(
    `{${written}} is none of {/json/pointer}, {header:name}, {sha256} and {'text'}`,
  );
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function textOfHeader(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? fromLatin1(value) : undefined;
}

function textOfValue(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const isKept = typeof value === 'object' && value !== null && isKeptNumber(value);
  const isPlain = typeof value === 'number' || typeof value === 'boolean';
  return isKept || isPlain ? stringifyExact(value) : undefined;
}
