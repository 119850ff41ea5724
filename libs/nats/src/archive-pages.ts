/*
 * Reads of the archive travel as NATS requests (ARCHITECTURE.md, "The archive"). A page is one
 * line of JSON that describes the events, then their bytes one after the other, so that neither
 * side parses or escapes what it only passes on.
 */

export interface ArchiveState {
  readonly epoch: string;
  /** Lowest sequence from which on the archive can answer; `lastSequence + 1` when it is empty. */
  readonly firstSequence: number;
  /** The projection's position. */
  readonly lastSequence: number;
}

export interface ArchiveQuery {
  readonly epoch: string;
  readonly patterns: readonly string[];
  /** Sequences after this one, */
  readonly after: number;
  /** up to and with this one. */
  readonly through: number;
  readonly eventsMax: number;
  /** Bytes of JSON; one event is returned even when it alone is larger. */
  readonly bytesMax: number;
}

/** Where an archived event stands; its JSON travels beside it. */
export interface EventPlace {
  readonly sequence: number;
  readonly topic: string;
  /** When the stream stored it. */
  readonly timeMs: number;
}

export interface SequenceRange {
  readonly from: number;
  readonly to: number;
}

/** `E`: an event as the archive has it, or as its reader wants it. */
export interface ArchivePage<E> {
  readonly events: readonly E[];
  /** The answer is complete up to this sequence; ask again after it. */
  readonly through: number;
  /** Parts of the range that had left the stream before the archive saw them. */
  readonly missing: readonly SequenceRange[];
}

/**
 * What fits one NATS message of the default size, with room for the line of description: up to 250
 * bytes an event where each has a long topic of its own.
 */
export const PAGE_BYTES_MAX = 512 * 1024;
export const PAGE_EVENTS_MAX = 2000;

/** An event with its JSON as text, which is how SQLite gives it. */
export interface ArchivedEvent extends EventPlace {
  readonly json: string;
}

/** A page with the archive's state when it was read, so that a read needs no second request. */
export interface ArchiveAnswer<E> extends ArchivePage<E> {
  readonly state: ArchiveState;
}

/** Makes an event of its place and the bytes of its JSON, which are part of the answer's. */
export type CreateEvent<E> = (place: EventPlace, json: Uint8Array) => E;

/** Events as columns: a list of lists took three times as long to parse. */
interface PageLine {
  readonly state: ArchiveState;
  readonly through: number;
  readonly missing: readonly SequenceRange[];
  readonly topics: readonly string[];
  readonly sequences: readonly number[];
  readonly topicIndexes: readonly number[];
  readonly timesMs: readonly number[];
  readonly bytes: readonly number[];
}

const LF = 10;

export function encodePage({ events, ...page }: ArchiveAnswer<ArchivedEvent>): Uint8Array {
  const indexes = new Map<string, number>();
  for (const { topic } of events) if (!indexes.has(topic)) indexes.set(topic, indexes.size);
  const line: PageLine = {
    ...page,
    topics: [...indexes.keys()],
    sequences: events.map(({ sequence }) => sequence),
    topicIndexes: events.map(({ topic }) => indexes.get(topic) ?? 0),
    timesMs: events.map(({ timeMs }) => timeMs),
    bytes: events.map(({ json }) => Buffer.byteLength(json)),
  };
  const jsons = events.map(({ json }) => json);
  return Buffer.from(`${JSON.stringify(line)}\n${jsons.join('')}`);
}

export function decodePage<E>(answer: Uint8Array, create: CreateEvent<E>): ArchiveAnswer<E> {
  const end = answer.indexOf(LF);
  const text = Buffer.from(answer.buffer, answer.byteOffset, end).toString();
  const { topics, sequences, topicIndexes, timesMs, bytes, ...page } = JSON.parse(text) as PageLine;
  let at = end + 1;
  const events = sequences.map((sequence, index) => {
    const json = answer.subarray(at, at + (bytes[index] ?? 0));
    at += json.length;
    const topic = topics[topicIndexes[index] ?? 0] ?? '';
    return create({ sequence, topic, timeMs: timesMs[index] ?? 0 }, json);
  });
  return { ...page, events };
}
