import { isUtf8 } from 'node:buffer';
import { isPrintable, MEDIA_TYPE, URI, URI_REFERENCE } from './attribute-texts.ts';
import { isTime } from './cursors.ts';
import type { EncodedEvent } from './encoded-event.ts';
import { ATTRIBUTE_LENGTH_MAX, DATA_DEPTH_MAX, EVENT_BYTES_MAX, EXTENSIONS_MAX } from './events.ts';
import { expiryMs } from './expiry.ts';
import { KnownTexts } from './known-texts.ts';
import { NOT_PLAIN, PlainJson } from './plain-json.ts';
import { isReservedTopic } from './reserved-topics.ts';
import { isTopic } from './topics.ts';
import { readTraceContext, type TraceContext } from './trace-context.ts';

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const NINE = 0x39;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const LETTER_F = 0x66;
const LETTER_T = 0x74;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const DELETE = 0x7f;

/** Longest name of an attribute, and the characters of such names. */
const NAME_BYTES_MAX = 64;
const NAME_BYTES = new Uint8Array(256);
for (const character of 'abcdefghijklmnopqrstuvwxyz0123456789') {
  NAME_BYTES[character.charCodeAt(0)] = 1;
}

/** The attributes with rules of their own. */
const NAMES = [
  'specversion',
  'id',
  'source',
  'type',
  'topic',
  'time',
  'expires',
  'subject',
  'datacontenttype',
  'dataschema',
  'data',
  'traceparent',
  'tracestate',
  'publisher',
] as const;
type Name = (typeof NAMES)[number];

/** The same by the hashes of their bytes. */
const KNOWN: ReadonlyMap<number, { readonly name: Name; readonly bytes: Buffer }> = new Map(
  NAMES.map((name) => [Buffer.from(name).reduce(addToHash, 0), { name, bytes: Buffer.from(name) }]),
);

const VERSION = Buffer.from('"1.0"');

const sources = new KnownTexts((text) => isSized(text.length) && URI_REFERENCE.test(text));
const topics = new KnownTexts((text) => isTopic(text) && !isReservedTopic(text));
const contentTypes = new KnownTexts((text) => isSized(text.length) && MEDIA_TYPE.test(text));
const schemas = new KnownTexts((text) => URI.test(text));

/** All readers share it, because each reads an event without a break. */
const json = new PlainJson();

/** What an event gets from the request that it comes with. */
export interface EventAdditions {
  readonly publisher: string;
  /** The request's trace context, which events without one get. */
  readonly context?: TraceContext | undefined;
  /** Now, in ms since 1970: no event may have expired. */
  readonly nowMs: number;
}

/**
 * Reads events that are stored as they came, apart from white space and from what a server adds at their end. It makes no object of an
 * event or of its data: it looks once at each byte, and copies it.
 *
 * What it reads is what `parseExact`, `parseEvent` with the additions, `requirePublishable` and `toEncoded` return, byte
 * by byte. Whatever it does not know to be right it leaves to them, which alone say what is wrong.
 */
export class PlainEvents {
  readonly #bytes: Buffer;
  readonly #additions: EventAdditions;
  #added: Buffer | undefined;
  #addedToTraced: Buffer | undefined;
  /** The index behind the event that was read last. */
  end = 0;

  #id = '';
  #source = '';
  #topic = '';
  #typeStart = 0;
  #typeEnd = 0;
  #isVersioned = false;
  #traceparent: string | undefined;
  #tracestate: string | undefined;
  #extensions = 0;
  /** Whether the text that was passed last has other characters than those that ASCII can print. */
  #isWide = false;

  private constructor(bytes: Buffer, additions: EventAdditions) {
    this.#bytes = bytes;
    this.#additions = additions;
  }

  /** @returns `undefined` where the bytes are not well-formed UTF-8 */
  static of(bytes: Buffer, additions: EventAdditions): PlainEvents | undefined {
    return isUtf8(bytes) ? new PlainEvents(bytes, additions) : undefined;
  }

  /** The index of the first byte from `at` on that is no white space. */
  blank(at: number): number {
    json.begin(this.#bytes);
    return json.blank(at);
  }

  /**
   * Reads the event that begins at an index.
   *
   * @returns `undefined` where it is not as described
   */
  read(at: number): EncodedEvent | undefined {
    json.begin(this.#bytes);
    this.#id = '';
    this.#source = '';
    this.#topic = '';
    this.#typeEnd = 0;
    this.#isVersioned = false;
    this.#traceparent = undefined;
    this.#tracestate = undefined;
    this.#extensions = 0;
    this.end = this.#event(at);
    return this.end === NOT_PLAIN ? undefined : this.#encode(at);
  }

  #encode(start: number): EncodedEvent | undefined {
    const { publisher, context } = this.#additions;
    const id = this.#id;
    const source = this.#source;
    if (id === '' || source === '' || this.#typeEnd === 0 || !this.#isVersioned) return undefined;
    const topic = this.#topic || topics.read(this.#bytes, this.#typeStart, this.#typeEnd);
    if (topic === undefined) return undefined;
    const isTraced = this.#traceparent !== undefined;
    // Such a `tracestate` is removed, because it belongs to no trace.
    if (!isTraced && context && this.#tracestate !== undefined) return undefined;
    const added = isTraced ? this.#additionsToTraced() : this.#additionsToOthers();
    const end = this.end - 1;
    const length = json.lengthOf(start, end);
    const rest = this.#topic === '' ? `,"topic":"${topic}"}` : '';
    // The additions end with a brace, which the topic begins at.
    const size = length + added.length + (rest === '' ? 0 : rest.length - 1);
    if (size > EVENT_BYTES_MAX) return undefined;
    const bytes = Buffer.allocUnsafe(size);
    json.copy(bytes, start, end);
    added.copy(bytes, length);
    if (rest !== '') bytes.write(rest, length + added.length - 1, 'latin1');
    return { id, source, topic, publisher, trace: isTraced ? this.#trace() : context, json: bytes };
  }

  #trace(): TraceContext | undefined {
    return readTraceContext({ traceparent: this.#traceparent, tracestate: this.#tracestate });
  }

  #additionsToTraced(): Buffer {
    this.#addedToTraced ??= toAdded({ publisher: this.#additions.publisher });
    return this.#addedToTraced;
  }

  #additionsToOthers(): Buffer {
    const { context, publisher } = this.#additions;
    this.#added ??= toAdded({ ...context, publisher });
    return this.#added;
  }

  #event(at: number): number {
    const bytes = this.#bytes;
    if (bytes[at] !== OPEN_OBJECT) return NOT_PLAIN;
    const names = json.open();
    let next = json.blank(at + 1);
    for (;;) {
      next = this.#attribute(next, names);
      if (next === NOT_PLAIN) return NOT_PLAIN;
      next = json.blank(next);
      if (bytes[next] !== COMMA) break;
      next = json.blank(next + 1);
    }
    return bytes[next] === CLOSE_OBJECT ? next + 1 : NOT_PLAIN;
  }

  #attribute(at: number, names: number): number {
    const bytes = this.#bytes;
    const start = at + 1;
    // JavaScript moves a name of digits to the front.
    if (bytes[at] !== QUOTE || (bytes[start] as number) <= NINE) return NOT_PLAIN;
    let end = start;
    let hash = 0;
    for (; NAME_BYTES[bytes[end] as number] === 1; end++) hash = addToHash(hash, bytes[end] ?? 0);
    if (bytes[end] !== QUOTE || end === start || end - start > NAME_BYTES_MAX) return NOT_PLAIN;
    if (!json.note(hash, names)) return NOT_PLAIN;
    const colon = json.blank(end + 1);
    if (bytes[colon] !== COLON) return NOT_PLAIN;
    const value = json.blank(colon + 1);
    const known = KNOWN.get(hash);
    if (known && isSame(known.bytes, bytes, start, end)) return this.#known(known.name, value);
    return ++this.#extensions > EXTENSIONS_MAX ? NOT_PLAIN : this.#extension(value);
  }

  #known(name: Name, at: number): number {
    if (name === 'data') return json.value(at, DATA_DEPTH_MAX);
    const end = this.#text(at);
    // All have at least one character.
    if (end === NOT_PLAIN || end === at + 2) return NOT_PLAIN;
    return this.#take(name, at + 1, end - 1) ? end : NOT_PLAIN;
  }

  /** Takes the text of an attribute. @returns whether it is right */
  #take(name: Name, start: number, end: number): boolean {
    const bytes = this.#bytes;
    switch (name) {
      case 'specversion':
        this.#isVersioned = isSame(VERSION, bytes, start - 1, end + 1);
        return this.#isVersioned;
      case 'id':
        this.#id = this.#toText(start, end);
        return this.#isBounded(start, end);
      case 'source':
        this.#source = this.#toKnown(sources, start, end);
        return this.#source !== '';
      case 'type':
        this.#typeStart = start;
        this.#typeEnd = end;
        return this.#isBounded(start, end);
      case 'topic':
        this.#topic = this.#toKnown(topics, start, end);
        return this.#topic !== '';
      case 'time':
        return isTime(this.#toText(start, end));
      case 'expires':
        return this.#isInTime(this.#toText(start, end));
      case 'subject':
        return this.#isBounded(start, end);
      case 'datacontenttype':
        return this.#toKnown(contentTypes, start, end) !== '';
      case 'dataschema':
        return this.#toKnown(schemas, start, end) !== '';
      case 'traceparent':
        this.#traceparent = this.#toText(start, end);
        return this.#isPrintable(start, end);
      case 'tracestate':
        this.#tracestate = this.#toText(start, end);
        return this.#isPrintable(start, end);
      default:
        return false;
    }
  }

  #extension(at: number): number {
    const bytes = this.#bytes;
    const first = bytes[at];
    if (first === QUOTE) {
      const end = this.#text(at);
      return end !== NOT_PLAIN && this.#isPrintable(at + 1, end - 1) ? end : NOT_PLAIN;
    }
    if (first === LETTER_T || first === LETTER_F) return json.value(at, 0);
    const end = json.number(at);
    if (end === NOT_PLAIN) return NOT_PLAIN;
    const number = Number(bytes.toString('latin1', at, end));
    return number === (number | 0) ? end : NOT_PLAIN;
  }

  /** Passes a text without escapes. */
  #text(at: number): number {
    const bytes = this.#bytes;
    const { length } = bytes;
    if (bytes[at] !== QUOTE) return NOT_PLAIN;
    let isWide = false;
    for (let index = at + 1; index < length; index++) {
      const code = bytes[index] as number;
      if (code === QUOTE) {
        this.#isWide = isWide;
        return index + 1;
      }
      if (code < SPACE || code === BACKSLASH) return NOT_PLAIN;
      if (code >= DELETE) isWide = true;
    }
    return NOT_PLAIN;
  }

  #isInTime(expires: string): boolean {
    return isTime(expires) && expiryMs(expires) > this.#additions.nowMs;
  }

  #isBounded(start: number, end: number): boolean {
    return isSized(end - start) && this.#isPrintable(start, end);
  }

  #isPrintable(start: number, end: number): boolean {
    return !this.#isWide || isPrintable(this.#toText(start, end));
  }

  #toText(start: number, end: number): string {
    return this.#bytes.toString(this.#isWide ? 'utf8' : 'latin1', start, end);
  }

  /** The text of an attribute that ASCII can write; empty where it is not right. */
  #toKnown(known: KnownTexts, start: number, end: number): string {
    return (this.#isWide ? undefined : known.read(this.#bytes, start, end)) ?? '';
  }
}

/** What follows the attributes of an event that gets further ones, as JSON. */
function toAdded(attributes: object): Buffer {
  return Buffer.from(`,${JSON.stringify(attributes).slice(1)}`);
}

function isSized(length: number): boolean {
  return length <= ATTRIBUTE_LENGTH_MAX;
}

function addToHash(hash: number, code: number): number {
  return (Math.imul(hash, 31) + code) | 0;
}

function isSame(text: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let index = 0; index < text.length; index++) {
    if (text[index] !== bytes[start + index]) return false;
  }
  return true;
}
