import { TidemarkError } from './errors.ts';
import {
  ADDED_BYTES_MAX,
  ATTRIBUTES_MAX,
  DATA_DEPTH_MAX,
  EVENT_BYTES_MAX,
  EXTENSIONS_MAX,
} from './events.ts';
import { endOfString } from './exact-json.ts';

/** Shorter texts cost less to parse than a look at them saves. */
const LOOK_LENGTH_MIN = 16 * 1024;

/** Characters of the longest escape of one character: `\u0041`. */
const ESCAPE_LENGTH = 6;

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const BLANK = /^[ \t\n\r]*$/;
const ARRAY_BEGIN = /^[ \t\n\r]*\[/;

/** More names than any message has. */
const MESSAGE_NAMES_MAX = 20;

/** More items than all lists of any message have. */
const MESSAGE_ITEMS_MAX = 1_000;

/** A text that holds an event. */
export interface EventText {
  /** How deep in the text the event's attributes are: 1 where the text is the event itself. */
  readonly depth: number;
  /** Whether the whole text counts as the event, which has a largest size. */
  readonly whole: boolean;
  /** The event's path in the client's input, for the faults. */
  readonly path?: string;
  /** Whether short texts are looked at as well, because something recursive is to follow; false if absent. */
  readonly evenShort?: boolean;
}

/**
 * Refuses the text of an event that is certain to be refused once it is parsed, where parsing takes long:
 * objects of many keys take up to 300 ns a character, and this takes 3. What it accepts need not be JSON.
 *
 * @throws TidemarkError `invalid_event` for too many attributes or too deep a nesting, or `too_large`
 */
export function refuseCostlyText(
  text: string,
  { depth: wanted, whole, ...more }: EventText,
  visit: Visit = () => undefined,
) {
  const { path, evenShort = false } = more;
  if (text.length < LOOK_LENGTH_MIN && !evenShort) return;
  let names = 0;
  let { length } = text;
  let slash = nextSlash(text, 0);
  walk(text, (code, at, place) => {
    const { depth, end } = place;
    visit(code, at, place);
    if (code <= SPACE) length--;
    else if (code === QUOTE) {
      if (slash < at) slash = nextSlash(text, at);
      // Each of its characters may be an escape.
      if (slash < end) length -= Math.ceil(((end - at) * (ESCAPE_LENGTH - 1)) / ESCAPE_LENGTH);
    } else if (depth > wanted + DATA_DEPTH_MAX) {
      throw refused(path ?? 'data', `is nested deeper than ${DATA_DEPTH_MAX} levels`);
    } else if (code === COLON && depth === wanted && ++names > ATTRIBUTES_MAX) {
      throw refused(path ?? '$', `must have at most ${EXTENSIONS_MAX} extension attributes`);
    }
    return true;
  });
  // The text may hold what does not count.
  const bytesMax = EVENT_BYTES_MAX + ADDED_BYTES_MAX;
  if (!whole || length <= bytesMax) return;
  const message = `There are more than the ${bytesMax} bytes that an event may have as JSON.`;
  const faults = path === undefined ? undefined : [{ path, message }];
  throw new TidemarkError('too_large', message, {
    limit: 'event_bytes',
    ...(faults && { faults }),
  });
}

/**
 * Refuses the text of a client's message that is certain to be refused once it is parsed. Only its event may have a
 * structure. All else that a message has are texts and lists of texts.
 *
 * @param noteId is given the text of the message's `id`, as JSON, where one was found before what is refused
 * @throws TidemarkError `invalid_message`, or for the event in it what `refuseCostlyText` throws
 * @throws SyntaxError for a name that is no JSON
 */
export function refuseCostlyMessage(
  text: string,
  noteId: (json: string) => void = () => undefined,
): void {
  let names = 0;
  let items = 0;
  let string = '';
  let name = '';
  const visitTop = (code: number, at: number, end: number) => {
    if (code === OPEN_ARRAY) throw wrongMessage('must be an object');
    if (code === QUOTE) {
      string = text.slice(at, end + 1);
      if (name === '"id"') noteId(string);
    }
    if (code === COMMA) name = '';
    if (code !== COLON) return;
    name = string;
    if (++names > MESSAGE_NAMES_MAX) {
      throw wrongMessage(`has more than ${MESSAGE_NAMES_MAX} names`);
    }
  };
  const visitRest = (code: number, depth: number) => {
    const isList = code === OPEN_ARRAY && depth === 2;
    if (code === OPEN_OBJECT || (code === OPEN_ARRAY && !isList)) {
      throw wrongMessage('may have a structure in its event only');
    }
    if (code === COMMA && ++items > MESSAGE_ITEMS_MAX) {
      throw wrongMessage(`has more than ${MESSAGE_ITEMS_MAX} items in its lists`);
    }
  };
  refuseCostlyText(text, { depth: 2, whole: true, path: 'event' }, (code, at, { depth, end }) => {
    if (depth === 1) visitTop(code, at, end);
    else if (!isEvent(name)) visitRest(code, depth);
    else if (depth === 2 && code === OPEN_ARRAY) throw refused('event', 'must be a JSON object');
  });
}

/**
 * Splits the text of a JSON array into those of its items, without parsing them.
 *
 * @param max looks no further than one item more than these; at all of them if absent
 * @returns `undefined` where the text is no array
 * @throws SyntaxError where the array does not end, or something follows it, unless it has more items
 */
export function splitArray(text: string, max = Number.POSITIVE_INFINITY): string[] | undefined {
  if (!ARRAY_BEGIN.test(text)) return undefined;
  const items: string[] = [];
  let start = text.indexOf('[') + 1;
  let isWhole = false;
  walk(text, (code, at, { depth }) => {
    const ends = depth === 0 && (code === CLOSE_ARRAY || code === CLOSE_OBJECT);
    if (ends || (code === COMMA && depth === 1)) {
      items.push(text.slice(start, at));
      start = at + 1;
    }
    if (ends) isWhole = code === CLOSE_ARRAY && BLANK.test(text.slice(start));
    return !ends && items.length <= max;
  });
  if (items.length > max) return items;
  if (!isWhole) throw new SyntaxError('The JSON array does not end where the text ends.');
  return items.length === 1 && BLANK.test(items[0] ?? '') ? [] : items;
}

type Visit = (code: number, at: number, place: Place) => unknown;

/** Where a character stands: how deep, and where it ends, which differs for a string. */
interface Place {
  readonly depth: number;
  readonly end: number;
}

/**
 * Visits white space, strings as a whole, and what gives JSON its structure, until a visit returns false.
 * An opening bracket counts as inside of itself, a closing one as outside.
 */
function walk(text: string, visit: Visit): void {
  const place = { depth: 0, end: 0 };
  for (let at = 0; at < text.length; at = place.end + 1) {
    const code = text.charCodeAt(at);
    place.end = code === QUOTE ? endOfString(text, at) : at;
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) place.depth++;
    else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) place.depth--;
    else if (code > SPACE && code !== QUOTE && code !== COMMA && code !== COLON) continue;
    if (visit(code, at, place) === false) return;
  }
}

function nextSlash(text: string, start: number): number {
  const at = text.indexOf('\\', start);
  return at < 0 ? text.length : at;
}

/** Whether a name is that of the event. It may have escapes. */
function isEvent(name: string): boolean {
  return name === '"event"' || (name.includes('\\') && JSON.parse(name) === 'event');
}

function wrongMessage(what: string): TidemarkError {
  return new TidemarkError('invalid_message', `The message ${what}.`);
}

function refused(path: string, message: string): TidemarkError {
  const faults = [{ path, message }];
  return new TidemarkError('invalid_event', `${path} ${message}.`, { faults });
}
