import {
  type ArchivedEvent,
  type ArchivePageHeader,
  type EventHeader,
  type LogBounds,
  parsePageHeader,
  type SequenceRange,
  unreadableAnswer,
} from '@tidemark/protocol';

/*
 * A page is one line of JSON, its header, followed by the JSON of its events. So neither side parses or
 * escapes the events that it passes on.
 */

/**
 * Most bytes of JSON in a page. With `PAGE_EVENTS_MAX` a page fits one NATS message of the default size:
 * its header takes up to 250 bytes for each event, where every event has a long topic of its own.
 */
export const PAGE_BYTES_MAX = 512 * 1024;
/** Most events in a page. */
export const PAGE_EVENTS_MAX = 2000;

/** One page of the archive. `E` is the event in the form that the archive or its reader uses. */
export interface ArchivePage<E> {
  /** In stream order. */
  readonly events: readonly E[];
  /** The page is complete up to this sequence; the next page begins after it. */
  readonly through: number;
  /** Parts of the range that had left the stream before the archive saw them. */
  readonly missing: readonly SequenceRange[];
}

/** A page with the archive's bounds at the time of the read. */
export interface ArchiveAnswer<E> extends ArchivePage<E> {
  readonly bounds: LogBounds;
}

/** Creates an event from its header and its JSON. The bytes are a view of the whole answer. */
export type CreateEvent<E> = (header: EventHeader, json: Uint8Array) => E;

const LF = 10;

/** Encodes a page as one NATS message. */
export function encodePage({ events, bounds, ...page }: ArchiveAnswer<ArchivedEvent>): Uint8Array {
  const indexes = new Map<string, number>();
  const topicIndexes = events.map(({ topic }) => {
    const known = indexes.get(topic);
    if (known !== undefined) return known;
    const index = indexes.size;
    indexes.set(topic, index);
    return index;
  });
  const header: ArchivePageHeader = {
    state: bounds,
    ...page,
    topics: [...indexes.keys()],
    sequences: events.map(({ sequence }) => sequence),
    topicIndexes,
    timesMs: events.map(({ timeMs }) => timeMs),
    bytes: events.map(({ json }) => Buffer.byteLength(json)),
  };
  const jsons = events.map(({ json }) => json);
  return Buffer.from(`${JSON.stringify(header)}\n${jsons.join('')}`);
}

/**
 * Decodes a page.
 *
 * @throws TidemarkError `unavailable` where the bytes are not a page
 */
export function decodePage<E>(answer: Uint8Array, create: CreateEvent<E>): ArchiveAnswer<E> {
  const headerBytes = Math.max(answer.indexOf(LF), 0);
  const text = Buffer.from(answer.buffer, answer.byteOffset, headerBytes).toString();
  const { topics, sequences, topicIndexes, timesMs, bytes, state, through, missing } =
    parsePageHeader(text);
  let at = headerBytes + 1;
  const events = sequences.map((sequence, index) => {
    const topicIndex = topicIndexes[index];
    const topic = topicIndex === undefined ? undefined : topics[topicIndex];
    const timeMs = timesMs[index];
    const length = bytes[index];
    if (topic === undefined || timeMs === undefined || length === undefined) {
      throw unreadableAnswer();
    }
    const json = answer.subarray(at, at + length);
    at += length;
    return create({ sequence, topic, timeMs }, json);
  });
  if (at !== answer.length) throw unreadableAnswer();
  return { events, through, missing, bounds: state };
}
