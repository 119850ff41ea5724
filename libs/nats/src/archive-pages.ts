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
 * A page travels as one line of JSON, its header, and then the JSON of its events one after the
 * other, so that neither side parses or escapes what it only passes on.
 */

/**
 * Most bytes of JSON and most events in a page. A page then fits one NATS message of the default
 * size, and its header has room: up to 250 bytes an event where each has a long topic of its own.
 */
export const PAGE_BYTES_MAX = 512 * 1024;
export const PAGE_EVENTS_MAX = 2000;

/** One page of the archive. `E` is the event: as the archive has it, or as its reader wants it. */
export interface ArchivePage<E> {
  /** In stream order. */
  readonly events: readonly E[];
  /** The page is complete up to this sequence; the next page begins after it. */
  readonly through: number;
  /** Parts of the range that had left the stream before the archive saw them. */
  readonly missing: readonly SequenceRange[];
}

/** A page with the archive's bounds when it was read, so that a read needs no second request. */
export interface ArchiveAnswer<E> extends ArchivePage<E> {
  readonly bounds: LogBounds;
}

/** Makes an event of its header and the bytes of its JSON, which are part of the answer's. */
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
 * @throws TidemarkError `unavailable` where the bytes are no page
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
