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

export interface ArchivedEvent {
  readonly sequence: number;
  readonly topic: string;
  /** When the stream stored it. */
  readonly timeMs: number;
  readonly json: Uint8Array;
}

export interface SequenceRange {
  readonly from: number;
  readonly to: number;
}

export interface ArchivePage {
  readonly events: readonly ArchivedEvent[];
  /** The answer is complete up to this sequence; ask again after it. */
  readonly through: number;
  /** Parts of the range that had left the stream before the archive saw them. */
  readonly missing: readonly SequenceRange[];
}

/** What fits one NATS message of the default size, with room for the line of description. */
export const PAGE_BYTES_MAX = 700 * 1024;
export const PAGE_EVENTS_MAX = 2000;

type EventLine = readonly [sequence: number, topicIndex: number, timeMs: number, bytes: number];

/** A page with the archive's state when it was read, so that a read needs no second request. */
export interface ArchiveAnswer extends ArchivePage {
  readonly state: ArchiveState;
}

interface PageLine {
  readonly state: ArchiveState;
  readonly through: number;
  readonly missing: readonly SequenceRange[];
  readonly topics: readonly string[];
  readonly events: readonly EventLine[];
}

const LF = 10;

export function encodePage({ state, events, through, missing }: ArchiveAnswer): Uint8Array {
  const topics = new Map<string, number>();
  const lines = events.map(({ sequence, topic, timeMs, json }): EventLine => {
    let index = topics.get(topic);
    if (index === undefined) {
      index = topics.size;
      topics.set(topic, index);
    }
    return [sequence, index, timeMs, json.length];
  });
  const line: PageLine = { state, through, missing, topics: [...topics.keys()], events: lines };
  return Buffer.concat([
    Buffer.from(`${JSON.stringify(line)}\n`),
    ...events.map(({ json }) => json),
  ]);
}

export function decodePage(bytes: Uint8Array): ArchiveAnswer {
  const end = bytes.indexOf(LF);
  const line = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as PageLine;
  let at = end + 1;
  const events = line.events.map(([sequence, topicIndex, timeMs, length]): ArchivedEvent => {
    const json = bytes.subarray(at, at + length);
    at += length;
    return { sequence, topic: line.topics[topicIndex] ?? '', timeMs, json };
  });
  return { state: line.state, events, through: line.through, missing: line.missing };
}
