import { z } from 'zod';
import { ERROR_CODES, type ErrorCode, TidemarkError } from './errors.ts';
import type { LogBounds, SequenceRange } from './log-bounds.ts';
import type { EventHeader } from './stored-events.ts';
import { listOf, textList } from './text-list.ts';
import { parsePatterns } from './topics.ts';
import { typeList } from './type-filter.ts';

/*
 * The JSON that gateways and replay services exchange over NATS (ARCHITECTURE.md, "The archive").
 * The two may run different versions for a while, so each side checks what the other sent.
 */

/** Most patterns of one query. Overlapping subscriptions of a connection catch up with one query for all. */
const ARCHIVE_PATTERNS_MAX = 10_000;

/** Most sequences of one query for events. */
const ARCHIVE_SEQUENCES_MAX = 2000;

/** What a gateway asks of the archive: the events of some topics in a range of sequences. */
export interface ArchiveQuery {
  /** The epoch that the sequences belong to. */
  readonly epoch: string;
  /** Events whose topic matches any of these patterns. */
  readonly patterns: readonly string[];
  /**
   * Events of any of these types, each exact or with `*` at its end; of all types if absent. An archive of
   * an earlier version ignores it, so the gateway filters again.
   */
  readonly types?: readonly string[];
  /** The range begins after this sequence. */
  readonly after: number;
  /** The range ends with this sequence. */
  readonly through: number;
  /** Most events in the answer. */
  readonly eventsMax: number;
  /** Most bytes of JSON in the answer; one event is answered even when it alone is larger. */
  readonly bytesMax: number;
}

/** What a gateway asks of the archive: the newest event of some topics, up to a sequence. */
export interface NewestQuery {
  /** The epoch that the sequence belongs to. */
  readonly epoch: string;
  readonly patterns: readonly string[];
  readonly through: number;
  /** Topics after this one, in the order of their names; all where it is empty. */
  readonly after: string;
  /** What the steps before have found. */
  readonly found?: number;
}

/** What that search has found after one more step. */
export interface NewestStep {
  /** The sequence of the newest event among the topics of this step and of those before; 0 without one. */
  readonly sequence: number;
  /** The topic to go on after; `null` where the search is complete. */
  readonly next: string | null;
}

/** Where a search for last events goes on: after a topic, in the order of their names. */
export interface LastPlace {
  /** Empty where the search begins. */
  readonly topic: string;
  /** Set where that topic is not finished: only its events before this sequence are left. */
  readonly before?: number;
}

/** What a gateway asks of the archive: one step of the search for the newest event of each of some topics. */
export interface LastQuery {
  /** The epoch that the sequences belong to. */
  readonly epoch: string;
  readonly patterns: readonly string[];
  /** Events of any of these types, each exact or with `*` at its end; of all types if absent. */
  readonly types?: readonly string[];
  /** The archive must have reached this sequence. */
  readonly reach: number;
  /** Later events do not count. Absent in the first step: the archive takes its end. */
  readonly through?: number;
  readonly place: LastPlace;
}

/** The answer to it. */
export interface LastAnswer extends LastStep {
  /** Later events do not count; the next steps ask for the same. */
  readonly through: number;
  /** In the first answer: the parts up to there that no archive has. */
  readonly missing: readonly SequenceRange[];
}

/** What a gateway asks of the archive: the events of some sequences. */
export interface EventsQuery {
  /** The epoch that the sequences belong to. */
  readonly epoch: string;
  /** In ascending order, 2,000 at most. */
  readonly sequences: readonly number[];
  /** Most bytes of JSON in the answer; one event is answered even when it alone is larger. */
  readonly bytesMax: number;
}

/** What one step of that search has found. */
export interface LastStep {
  /** The sequence of the newest event of each topic of this step. */
  readonly sequences: readonly number[];
  /** Where to go on; `null` where the search is complete. */
  readonly next: LastPlace | null;
}

/** An event of the archive, with its JSON as text, which is how SQLite gives it. */
export interface ArchivedEvent extends EventHeader {
  readonly json: string;
}

/**
 * The first line of an answered page. It describes the events, whose JSON follows on the next line.
 * The five columns hold one number for each event, because a list of objects took three times as
 * long to parse.
 */
export interface ArchivePageHeader {
  /** What the archive held when it was read. */
  readonly state: LogBounds;
  /** The page is complete up to this sequence. */
  readonly through: number;
  /** Parts of the range that had left the stream before the archive saw them. */
  readonly missing: readonly SequenceRange[];
  /** Each topic of the page once. */
  readonly topics: readonly string[];
  readonly sequences: readonly number[];
  /** Positions in `topics`. */
  readonly topicIndexes: readonly number[];
  /** When the stream stored each event, in milliseconds since 1970. */
  readonly timesMs: readonly number[];
  /** Length of each event's JSON. */
  readonly bytes: readonly number[];
}

/**
 * What one archive holds: everything between its bounds except for the missing ranges.
 *
 * `missing` need not be complete: an archive with many missing ranges names the longest of them. Its
 * answer to a request is exact.
 */
export interface ArchiveHoldings extends LogBounds {
  /** In ascending order, and they do not overlap. */
  readonly missing: readonly SequenceRange[];
}

/** What a replay service tells all others, every second and when something has changed. */
export interface ArchiveAnnouncement {
  /** Names the process that holds the archive, as part of a subject. A restart gets another name. */
  readonly instance: string;
  /** Names the archive itself. It stays the same over restarts. */
  readonly archive: string;
  /** Set by the last announcement of a process that ends. Its archive may come back with the next. */
  readonly leaving: boolean;
  readonly holdings: ArchiveHoldings;
}

const sequence = z.int().min(0);
const limit = z.int().min(1);

const archiveQuery = z.object({
  epoch: z.string(),
  patterns: textList(),
  types: typeList.exactOptional(),
  after: sequence,
  through: sequence,
  eventsMax: limit,
  bytesMax: limit,
});

const newestQuery = z.object({
  epoch: z.string(),
  patterns: textList(),
  through: sequence,
  after: z.string(),
  found: sequence.exactOptional(),
});

const place = z.object({ topic: z.string(), before: sequence.exactOptional() });

const lastQuery = z.object({
  epoch: z.string(),
  patterns: z.array(z.string()),
  types: typeList.exactOptional(),
  reach: sequence,
  through: sequence.exactOptional(),
  place,
});

const newestStep = z.object({ sequence, next: z.string().nullable() });

const timeQuery = z.object({ timeMs: z.number() });

const bounds = z.object({
  epoch: z.string(),
  earlier: listOf(z.object({ epoch: z.string(), through: sequence })).exactOptional(),
  firstSequence: sequence,
  lastSequence: sequence,
});
const ranges = listOf(z.object({ from: sequence, to: sequence }));
const announcement = z.object({
  instance: z.string().regex(/^[a-z0-9]{1,40}$/),
  archive: z.string(),
  leaving: z.boolean(),
  holdings: bounds.extend({ missing: ranges }),
});
const sequenceAnswer = z.object({ sequence });
const errorAnswer = z.object({
  error: z.object({
    code: z.enum(Object.keys(ERROR_CODES) as ErrorCode[]).catch('internal'),
    message: z.string(),
  }),
});

// Plain loops: a page has thousands of values, and a schema for each takes ten times as long.
const column = z.custom<readonly number[]>(isColumn, 'must be a list of whole numbers');

const eventsQuery = z.object({
  epoch: z.string(),
  sequences: column.refine(({ length }) => length <= ARCHIVE_SEQUENCES_MAX, 'must be fewer'),
  bytesMax: limit,
});

const lastAnswer = z.object({
  through: sequence,
  sequences: column,
  missing: ranges,
  next: place.nullable(),
});

const pageHeader = z.object({
  state: bounds,
  through: sequence,
  missing: ranges,
  topics: textList(),
  sequences: column,
  topicIndexes: column,
  timesMs: column,
  bytes: column,
});

/**
 * Reads the request for a page.
 *
 * @throws TidemarkError `invalid_json`, `invalid_query` or `invalid_pattern`
 */
export function parseArchiveQuery(text: string): ArchiveQuery {
  const query = parseRequest(archiveQuery, text);
  return { ...query, patterns: parsePatterns(query.patterns, ARCHIVE_PATTERNS_MAX) };
}

/**
 * Reads the request for the last sequence before a time, in milliseconds since 1970.
 *
 * @throws TidemarkError `invalid_json` or `invalid_query`
 */
export function parseArchiveTimeQuery(text: string): { readonly timeMs: number } {
  return parseRequest(timeQuery, text);
}

/**
 * Reads the request for the newest event of some topics.
 *
 * @throws TidemarkError `invalid_json`, `invalid_query` or `invalid_pattern`
 */
export function parseNewestQuery(text: string): NewestQuery {
  const query = parseRequest(newestQuery, text);
  return { ...query, patterns: parsePatterns(query.patterns) };
}

/**
 * Reads the request for one step of the search for last events.
 *
 * @throws TidemarkError `invalid_json`, `invalid_query` or `invalid_pattern`
 */
export function parseLastQuery(text: string): LastQuery {
  const query = parseRequest(lastQuery, text);
  return { ...query, patterns: parsePatterns(query.patterns) };
}

/**
 * Reads the answer to a request for one step of the search for last events.
 *
 * @throws TidemarkError `unavailable`
 */
export function parseLastAnswer(text: string): LastAnswer {
  return parseAnswer(lastAnswer, text);
}

/**
 * Reads the request for the events of some sequences.
 *
 * @throws TidemarkError `invalid_json` or `invalid_query`
 */
export function parseEventsQuery(text: string): EventsQuery {
  return parseRequest(eventsQuery, text);
}

/**
 * Reads the answer to a request for the newest event of some topics.
 *
 * @throws TidemarkError `unavailable`
 */
export function parseNewestStep(text: string): NewestStep {
  return parseAnswer(newestStep, text);
}

/**
 * Reads the answer to a request for a sequence.
 *
 * @throws TidemarkError `unavailable`
 */
export function parseSequenceAnswer(text: string): number {
  return parseAnswer(sequenceAnswer, text).sequence;
}

/**
 * Reads the first line of a page.
 *
 * @throws TidemarkError `unavailable`
 */
export function parsePageHeader(text: string): ArchivePageHeader {
  return parseAnswer(pageHeader, text);
}

/**
 * Reads an announcement.
 *
 * @throws TidemarkError `unavailable`
 */
export function parseAnnouncement(text: string): ArchiveAnnouncement {
  return parseAnswer(announcement, text);
}

/**
 * Reads an answered error; a code that this version does not know becomes `internal`.
 *
 * @throws TidemarkError `unavailable` where the text is no such answer
 */
export function parseErrorAnswer(text: string): TidemarkError {
  const { code, message } = parseAnswer(errorAnswer, text).error;
  return new TidemarkError(code, message);
}

/** The error for an answer that breaks its format, as one of another version may. */
export function unreadableAnswer(cause?: unknown): TidemarkError {
  return new TidemarkError('unavailable', "The archive's answer cannot be read.", { cause });
}

function parseRequest<T>(schema: z.ZodType<T>, text: string): T {
  const { success, data, error } = schema.safeParse(parseJson(text));
  if (success) return data;
  const faults = error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
  const [first] = faults;
  const message = `The archive's request is wrong: ${first?.path} ${first?.message}.`;
  throw new TidemarkError('invalid_query', message, { faults });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TidemarkError('invalid_json', "The archive's request is not JSON.", { cause });
  }
}

function parseAnswer<T>(schema: z.ZodType<T>, text: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw unreadableAnswer(cause);
  }
}

function isColumn(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  for (const number of value) if (!Number.isSafeInteger(number) || number < 0) return false;
  return true;
}
