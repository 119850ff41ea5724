import { END_OF_EXPIRES, eventExpiryMs, NEVER_MS } from '@tidemark/protocol';

/** More places of a block at which an event may expire are not noted. Its events are then looked at one by one. */
const PLACES_MAX = 64;

/** What is known of a block that a slab fills. */
interface LookedAt {
  /** Bytes from the begin of the block that were looked at. */
  through: number;
  /** Whether nothing is written to the block any more. */
  full: boolean;
  /** Where in them an event may expire, in ascending order. */
  readonly places: number[];
}

const blocks = new WeakMap<ArrayBufferLike, LookedAt>();

/** Says that a block is filled from its begin on, and that what is written stays as it is. */
export function noteBlock({ buffer }: Uint8Array): void {
  blocks.set(buffer, { through: 0, full: false, places: [] });
}

/** Says that nothing is written to a block any more. */
export function noteFull({ buffer }: Uint8Array): void {
  const block = blocks.get(buffer);
  if (block) block.full = true;
}

/**
 * When an event expires, in ms since 1970, as `eventExpiryMs` tells it. In a storm each event is asked once, and most of
 * the time that a search in 300 bytes takes is the call. So a block of the slab is searched at once, unless it is still
 * filled: then up to the event.
 */
export function expiryOf(json: Uint8Array): number {
  const block = blocks.get(json.buffer);
  return block && neverIn(block, json) ? NEVER_MS : eventExpiryMs(json);
}

function neverIn(block: LookedAt, { buffer, byteOffset, length }: Uint8Array): boolean {
  const end = byteOffset + length;
  if (end > block.through) lookAt(block, buffer, end);
  const { places } = block;
  if (places.length === 0) return true;
  if (places.length >= PLACES_MAX) return false;
  return !places.some((place) => place >= byteOffset && place < end);
}

function lookAt(block: LookedAt, buffer: ArrayBufferLike, end: number): void {
  const { places, through } = block;
  const bytes = Buffer.from(buffer, 0, block.full ? buffer.byteLength : end);
  // A name that lies across two events is none, and each event is looked at whole: `through` is the end of one, or of the block.
  let at = bytes.indexOf(END_OF_EXPIRES, through);
  for (; at >= 0 && places.length < PLACES_MAX; at = bytes.indexOf(END_OF_EXPIRES, at + 1)) {
    places.push(at);
  }
  block.through = bytes.length;
}
