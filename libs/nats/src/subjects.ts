import { fromSubject } from '@tidemark/protocol';

/** Subjects that are remembered: up to 300 bytes each, and 10 MB for all. A power of two. */
const PLACES = 1 << 15;

/** A subject as text, and the topic in it; `undefined` where it holds no valid topic. */
export interface Subject {
  readonly text: string;
  readonly topic: string | undefined;
}

interface Remembered extends Subject {
  readonly bytes: Uint8Array;
}

/**
 * Subjects by their bytes. Most messages are on a subject that was seen before, and then nothing is decoded or checked
 * again, and maps find the topic by a text whose hash they know. A subject has one place, where it replaces another
 * one: whoever chooses subjects that replace each other makes them be decoded each time, as they were before.
 */
export class Subjects {
  readonly #places: (Remembered | undefined)[] = new Array(PLACES);

  /** @param decode the subject as text, where it is not remembered */
  find(bytes: Uint8Array, decode: () => string): Subject {
    const place = hash(bytes) & (PLACES - 1);
    const known = this.#places[place];
    if (known && isEqual(known.bytes, bytes)) return known;
    const text = decode();
    // The bytes are a part of what was read from the socket.
    const remembered = { bytes: Uint8Array.from(bytes), text, topic: fromSubject(text) };
    this.#places[place] = remembered;
    return remembered;
  }
}

/** FNV-1a. */
function hash(bytes: Uint8Array): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at++) value = Math.imul(value ^ (bytes[at] ?? 0), 0x01000193);
  return value ^ (value >>> 15);
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}
