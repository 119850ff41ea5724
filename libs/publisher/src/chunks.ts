import type { OutgoingEvent } from './outgoing-event.ts';

/** What a request may hold. */
export interface ChunkLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
  /** Whether a chunk has at most one event of a topic. */
  readonly keepOrder: boolean;
}

/** Splits events into requests, in order. An event that alone has more bytes is a chunk of its own. */
export function* splitChunks(
  events: readonly OutgoingEvent[],
  { eventsMax, bytesMax, keepOrder }: ChunkLimits,
): Generator<readonly OutgoingEvent[]> {
  let chunk: OutgoingEvent[] = [];
  let topics = new Set<string>();
  let bytes = 0;
  for (const event of events) {
    // With the comma before it, and the brackets of the array.
    const more = event.bytes + 2;
    const isFull = chunk.length >= eventsMax || bytes + more > bytesMax;
    if (chunk.length > 0 && (isFull || (keepOrder && topics.has(event.topic)))) {
      yield chunk;
      chunk = [];
      topics = new Set();
      bytes = 0;
    }
    chunk.push(event);
    topics.add(event.topic);
    bytes += more;
  }
  if (chunk.length > 0) yield chunk;
}
